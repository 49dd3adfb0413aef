import { describe, expect, it } from "vitest";

import { kinds } from "../types.ts";
import {
  namespace,
  otherNamespace,
  ours,
  signal,
  versionOf,
  uidOf,
  refused,
  type Cases,
} from "./cases.testing.ts";

export function describeReading(t: Cases): void {
  const { own, apply, get } = t;

  describe("reading", () => {
    it("gives undefined for what is not there", async () => {
      expect(await get(kinds.deployment)).toBeUndefined();
      expect(await t.kube.get(kinds.secret, "no-such-namespace", own(), signal)).toBeUndefined();
    });

    it("gives an object as it was written, with what the server adds", async () => {
      const written = await apply(kinds.serviceAccount, { automountServiceAccountToken: false });
      expect(await get(kinds.serviceAccount)).toEqual(written);
      expect(written).toMatchObject({
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata: { name: own(), namespace },
        automountServiceAccountToken: false,
      });
      expect(uidOf(written)).toMatch(/^[0-9a-f-]{36}$/);
      expect(versionOf(written)).toMatch(/^\d+$/);
      expect(written.metadata?.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    });

    it("lists a namespace in the order of names, and all namespaces, by label selector", async () => {
      const labels = { group: own() };
      for (const name of ["b", "a", "c"])
        await apply(kinds.secret, {}, ours, { name: `${own()}-${name}`, labels });
      await apply(kinds.secret, {}, ours, { namespace: otherNamespace, labels });
      const labelSelector = `group=${own()}`;
      const here = await t.kube.list(kinds.secret, { namespace, labelSelector }, signal);
      expect(here.items.map(({ metadata }) => metadata?.name)).toEqual(
        ["a", "b", "c"].map((name) => `${own()}-${name}`),
      );
      expect(here.items[0]).toMatchObject({ apiVersion: "v1", kind: "Secret" });
      const all = await t.kube.list(kinds.secret, { labelSelector }, signal);
      expect(all.items).toHaveLength(4);
      expect(Number(all.resourceVersion)).toBeGreaterThanOrEqual(
        Math.max(...all.items.map((item) => Number(versionOf(item)))),
      );
    });

    it("understands the selectors of sets, inequality and presence", async () => {
      await apply(kinds.secret, {}, ours, { name: `${own()}-x`, labels: { [own()]: "x" } });
      await apply(kinds.secret, {}, ours, { name: `${own()}-y`, labels: { [own()]: "y" } });
      const named = async (labelSelector: string): Promise<readonly (string | undefined)[]> => {
        const { items } = await t.kube.list(kinds.secret, { namespace, labelSelector }, signal);
        return items.map(({ metadata }) => metadata?.labels?.[own()]).filter(Boolean);
      };
      expect(await named(own())).toEqual(["x", "y"]);
      expect(await named(`${own()} in (y, z)`)).toEqual(["y"]);
      expect(await named(`${own()} notin (y)`)).toEqual(["x"]);
      expect(await named(`${own()}!=x`)).toEqual(["y"]);
      expect(await named(`${own()},${own()}=x`)).toEqual(["x"]);
      expect(await named(`!${own()}`)).toEqual([]);
    });

    it("lists the events about one object by field selector", async () => {
      const about = async (name: string, uid: string): Promise<void> => {
        const involvedObject = { apiVersion: "v1", kind: "Pod", namespace, name, uid };
        await t.kube.create(
          kinds.event,
          {
            metadata: { namespace, name: `${own()}-${name}` },
            involvedObject,
            reason: "FailedCreate",
            message: name,
          },
          signal,
        );
      };
      await about("a", `${own()}-uid-a`);
      await about("b", `${own()}-uid-b`);
      const fieldSelector = `involvedObject.uid=${own()}-uid-a,reason=FailedCreate`;
      const { items } = await t.kube.list(kinds.event, { namespace, fieldSelector }, signal);
      expect(items.map(({ message }) => message)).toEqual(["a"]);
    });

    it("refuses a list of more than may be kept, rather than give a part of it", async () => {
      for (const name of ["a", "b"])
        await apply(kinds.secret, {}, ours, { name: `${own()}-${name}`, labels: { many: own() } });
      const listed = t.kube.list(
        kinds.secret,
        { namespace, labelSelector: `many=${own()}`, maxItems: 1 },
        signal,
      );
      await refused(listed, "KUBE_UNEXPECTED_RESPONSE");
    });

    it("takes the signal's own reason", async () => {
      const reason = new Error("no longer needed");
      const aborted = AbortSignal.abort(reason);
      await expect(t.kube.get(kinds.secret, namespace, own(), aborted)).rejects.toBe(reason);
      await expect(t.kube.list(kinds.secret, { namespace }, aborted)).rejects.toBe(reason);
    });
  });
}
