import { describe, expect, it } from "vitest";

import { API_VERSION, KIND } from "../../../crds/names.ts";
import { kinds, type V1Deployment } from "../types.ts";
import {
  namespace,
  ours,
  signal,
  versionOf,
  uidOf,
  managerOf,
  refused,
  type Cases,
} from "./cases.testing.ts";

export function describeWrites(t: Cases): void {
  const { own, apply, get, object, deployment } = t;

  describe("creating", () => {
    it("makes what is not there, and conflicts with what is", async () => {
      const made = await t.kube.create(
        kinds.secret,
        object(kinds.secret, { data: { key: "dmFsdWU=" } }),
        signal,
      );
      expect(made).toMatchObject({ type: "Opaque", data: { key: "dmFsdWU=" } });
      await refused(t.kube.create(kinds.secret, object(kinds.secret, {}), signal), "KUBE_CONFLICT");
      expect(await get(kinds.secret)).toEqual(made);
    });

    it("makes Events, which are counted by a patch", async () => {
      const event = object(kinds.event, {
        involvedObject: { apiVersion: API_VERSION, kind: KIND, namespace, name: own() },
        type: "Normal",
        reason: "Released",
        message: "a release",
        count: 1,
        firstTimestamp: "2026-03-01T08:00:00Z",
        lastTimestamp: "2026-03-01T08:00:00Z",
      });
      await t.kube.create(kinds.event, event, signal);
      const patch = { count: 2, lastTimestamp: "2026-03-01T08:01:00Z" };
      const counted = await t.kube.patch(kinds.event, namespace, own(), patch, {}, signal);
      expect(counted).toMatchObject({
        ...patch,
        reason: "Released",
        firstTimestamp: "2026-03-01T08:00:00Z",
      });
    });
  });
  describe("a merge patch", () => {
    it("sets, replaces lists and removes by null", async () => {
      await apply(kinds.deployment, deployment(), ours, { labels: { a: "1", b: "2" } });
      const patched = await t.kube.patch<V1Deployment>(
        kinds.deployment,
        namespace,
        own(),
        { metadata: { labels: { a: null, c: "3" } }, spec: { replicas: 4 } },
        { fieldManager: "patcher" },
        signal,
      );
      expect(patched).toMatchObject({ metadata: { generation: 2 }, spec: { replicas: 4 } });
      expect(patched.metadata?.labels).toEqual({ b: "2", c: "3" });
      expect(managerOf(patched, "patcher")).toMatchObject({
        "f:metadata": { "f:labels": { "f:c": {} } },
        "f:spec": { "f:replicas": {} },
      });
      expect(managerOf(patched, "ours")).not.toHaveProperty(["f:metadata", "f:labels", "f:a"]);
      // What the patch took is no longer the applier's to lose, nor to change without a conflict.
      await refused(apply(kinds.deployment, deployment({ replicas: 5 })), "KUBE_CONFLICT");
    });

    it("is of the version that it names, and of what is there", async () => {
      const made = await apply(kinds.secret, {});
      await apply(kinds.secret, {}, ours, { labels: { a: "1" } });
      const patch = { metadata: { resourceVersion: versionOf(made), labels: { a: "2" } } };
      await refused(
        t.kube.patch(kinds.secret, namespace, own(), patch, {}, signal),
        "KUBE_CONFLICT",
      );
      await refused(
        t.kube.patch(kinds.secret, namespace, "not-there", {}, {}, signal),
        "KUBE_NOT_FOUND",
      );
    });

    it("changes nothing when nothing differs", async () => {
      const made = await apply(kinds.secret, {}, ours, { labels: { a: "1" } });
      const patch = { metadata: { labels: { a: "1" } } };
      expect(await t.kube.patch(kinds.secret, namespace, own(), patch, {}, signal)).toEqual(made);
    });
  });
  describe("replacing", () => {
    it("is a compare-and-swap with a version: of two at once, one succeeds", async () => {
      const made = await t.kube.create(
        kinds.lease,
        object(kinds.lease, { spec: { holderIdentity: "a", leaseDurationSeconds: 3 } }),
        signal,
      );
      const take = (holderIdentity: string): Promise<unknown> =>
        t.kube.replace(
          kinds.lease,
          { ...made, spec: { ...made.spec, holderIdentity } },
          {},
          signal,
        );
      const results = await Promise.allSettled([take("b"), take("c")]);
      expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
      const holder = (await get(kinds.lease))?.spec?.holderIdentity;
      expect(holder).toBe(results[0].status === "fulfilled" ? "b" : "c");
      await refused(take("d"), "KUBE_CONFLICT");
    });

    it("needs something to replace, and leaves out what the new object leaves out", async () => {
      await refused(
        t.kube.replace(kinds.secret, object(kinds.secret, {}), {}, signal),
        "KUBE_NOT_FOUND",
      );
      const made = await apply(kinds.secret, {}, ours, { labels: { a: "1" } });
      const replaced = await t.kube.replace(kinds.secret, object(kinds.secret, {}), {}, signal);
      expect(replaced.metadata?.labels).toBeUndefined();
      expect(uidOf(replaced)).toBe(uidOf(made));
      expect(managerOf(replaced, "ours")).toBeUndefined();
    });
  });
  describe("deleting", () => {
    it("takes that very object, and is content when it is gone", async () => {
      const made = await apply(kinds.secret, {});
      const target = { namespace, name: own(), uid: uidOf(made) };
      await refused(
        t.kube.delete(
          kinds.secret,
          { ...target, uid: "11111111-2222-4333-8444-555555555555" },
          signal,
        ),
        "KUBE_CONFLICT",
      );
      await apply(kinds.secret, {}, ours, { labels: { a: "1" } });
      await refused(
        t.kube.delete(kinds.secret, { ...target, resourceVersion: versionOf(made) }, signal),
        "KUBE_CONFLICT",
      );
      await t.kube.delete(kinds.secret, target, signal);
      expect(await get(kinds.secret)).toBeUndefined();
      await t.kube.delete(kinds.secret, target, signal);
      const again = await apply(kinds.secret, {});
      expect(uidOf(again)).not.toBe(uidOf(made));
    });

    it("waits for finalizers, and ends with the last of them", async () => {
      const made = await apply(kinds.secret, {}, ours, { finalizers: ["aiapp.dev/test"] });
      const target = { namespace, name: own(), uid: uidOf(made) };
      await t.kube.delete(kinds.secret, target, signal);
      const ending = await get(kinds.secret);
      expect(ending?.metadata?.deletionTimestamp).toBeDefined();
      await t.kube.patch(
        kinds.secret,
        namespace,
        own(),
        { metadata: { finalizers: null } },
        {},
        signal,
      );
      expect(await get(kinds.secret)).toBeUndefined();
    });

    it("leaves what it owned to the garbage collector, by way of a finalizer in the foreground", async () => {
      const owner = await apply(kinds.deployment, deployment());
      const ownerReferences = [
        { apiVersion: "apps/v1", kind: "Deployment", name: own(), uid: uidOf(owner) },
      ];
      const owned = await apply(kinds.secret, {}, ours, { ownerReferences });
      const target = { namespace, name: own(), uid: uidOf(owner) };
      await t.kube.delete(kinds.deployment, { ...target, propagationPolicy: "Foreground" }, signal);
      const ending = await get(kinds.deployment);
      expect(ending?.metadata).toMatchObject({ finalizers: ["foregroundDeletion"] });
      expect(await get(kinds.secret)).toEqual(owned);
    });
  });
  describe("a token", () => {
    it("is made for a ServiceAccount that is there", async () => {
      await apply(kinds.serviceAccount, {});
      expect(await t.kube.createToken(namespace, own(), "api://audience", signal)).toMatch(
        /^\S{10,}$/,
      );
      await refused(
        t.kube.createToken(namespace, "not-there", "api://audience", signal),
        "KUBE_NOT_FOUND",
      );
    });
  });
}
