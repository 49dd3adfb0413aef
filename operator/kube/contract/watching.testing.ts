import { describe, expect, it } from "vitest";

import { kinds, type WatchEvent, type KubernetesObject } from "../types.ts";
import { namespace, ours, signal, versionOf, uidOf, refused, type Cases } from "./cases.testing.ts";

export function describeWatching(t: Cases): void {
  const { own, apply } = t;

  describe("watching", () => {
    const summary = ({ type, object: { metadata } }: WatchEvent<KubernetesObject>): string =>
      `${type} ${metadata?.name} ${metadata?.labels?.["step"] ?? ""}`.trim();

    async function events(
      count: number,
      resourceVersion: string,
      labelSelector?: string,
    ): Promise<readonly string[]> {
      const seen: string[] = [];
      const options = { namespace, labelSelector, resourceVersion, timeoutSeconds: 30 };
      for await (const event of t.kube.watch(kinds.secret, options, signal)) {
        if (event.type !== "BOOKMARK") seen.push(summary(event));
        if (seen.length === count) break;
      }
      return seen;
    }

    it("gives every change after a list, in order, past and to come", async () => {
      const { resourceVersion } = await t.kube.list(kinds.secret, { namespace }, signal);
      const made = await apply(kinds.secret, {}, ours, { labels: { step: "1" } });
      const coming = events(3, resourceVersion);
      await apply(kinds.secret, {}, ours, { labels: { step: "2" } });
      await t.kube.delete(kinds.secret, { namespace, name: own(), uid: uidOf(made) }, signal);
      expect(await coming).toEqual([
        `ADDED ${own()} 1`,
        `MODIFIED ${own()} 2`,
        `DELETED ${own()} 2`,
      ]);
      // It resumes after the version that was seen last.
      expect(await events(2, versionOf(made))).toEqual([
        `MODIFIED ${own()} 2`,
        `DELETED ${own()} 2`,
      ]);
    });

    it("reports an object as added when it begins to match the selector, and as deleted when it no longer does", async () => {
      const { resourceVersion } = await t.kube.list(kinds.secret, { namespace }, signal);
      for (const step of ["1", own(), "3"])
        await apply(kinds.secret, {}, ours, { labels: { step } });
      const seen = await events(2, resourceVersion, `step=${own()}`);
      expect(seen.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
        `ADDED ${own()}`,
        `DELETED ${own()}`,
      ]);
    });

    it("is gone when the version is older than what the server remembers", async () => {
      const made = await apply(kinds.secret, {}, ours, { labels: { step: "1" } });
      await apply(kinds.secret, {}, ours, { labels: { step: "2" } });
      await t.forget();
      await refused(events(1, versionOf(made)), "KUBE_GONE");
    });

    it("ends when the signal is aborted, with its reason", async () => {
      const { resourceVersion } = await t.kube.list(kinds.secret, { namespace }, signal);
      const stop = new AbortController();
      const reason = new Error("no longer needed");
      const options = { namespace, resourceVersion, timeoutSeconds: 30 };
      const watched = (async () => {
        for await (const event of t.kube.watch(kinds.secret, options, stop.signal)) {
          if (event.type !== "BOOKMARK") stop.abort(reason);
        }
      })();
      await Promise.all([expect(watched).rejects.toBe(reason), apply(kinds.secret, {})]);
    });
  });
}
