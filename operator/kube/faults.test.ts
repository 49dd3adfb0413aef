import { setImmediate } from "node:timers/promises";

import { beforeEach, describe, expect, it } from "vitest";

import { ManualClock } from "../clock.testing.ts";
import type { Kube } from "./client.ts";
import { createFakeKube, type FakeKube } from "./fake/fake.testing.ts";
import { countCalls, crashAt, ProcessEnded, type CrashOptions } from "./faults.testing.ts";
import { openStaleView } from "./stale-view.testing.ts";
import { kinds } from "./types.ts";

const signal = AbortSignal.timeout(60_000);
let api: FakeKube;

beforeEach(() => {
  api = createFakeKube({ clock: new ManualClock() });
});

const secret = (name: string, step = "1") => ({
  metadata: { namespace: "default", name, labels: { step } },
});
const write = (kube: Kube, name: string, step?: string) =>
  kube.apply(kinds.secret, secret(name, step), { fieldManager: "tests", force: true }, signal);
const names = async (): Promise<readonly (string | undefined)[]> =>
  (await api.list(kinds.secret, {}, signal)).items.map(({ metadata }) => metadata?.name);

/** Reads, then writes `a`, `b` and `c`. */
async function work(kube: Kube): Promise<void> {
  for (const name of ["a", "b", "c"]) {
    await kube.get(kinds.secret, "default", name, signal);
    await write(kube, name);
  }
}

describe("a process that ends at a call", () => {
  it.each<[CrashOptions, number, readonly string[]]>([
    [{ when: "before", of: "write" }, 1, []],
    [{ when: "after", of: "write" }, 1, ["a"]],
    [{ when: "before", of: "write" }, 3, ["a", "b"]],
    [{ when: "after", of: "write" }, 3, ["a", "b", "c"]],
    [{ when: "before", of: "any" }, 3, ["a"]],
    [{ when: "after", of: "any" }, 4, ["a", "b"]],
  ])("%o %i leaves %j behind, and does no more", async (options, n, left) => {
    const kube = crashAt(api, n, options);
    await expect(work(kube)).rejects.toThrow(ProcessEnded);
    expect(await names()).toEqual(left);
    await expect(write(kube, "d")).rejects.toThrow(ProcessEnded);
    await expect(kube.get(kinds.secret, "default", "a", signal)).rejects.toThrow(ProcessEnded);
    expect(await names()).toEqual(left);
  });

  it("does not end when there are fewer calls", async () => {
    const counted = countCalls(api);
    await work(crashAt(counted, 4, { when: "before", of: "write" }));
    expect(counted.count("write")).toBe(3);
    expect(counted.count("any")).toBe(6);
    expect(counted.calls().slice(0, 2)).toEqual(["get Secret a", "apply Secret a"]);
  });

  it("reads no event of a watch any more", async () => {
    const { resourceVersion } = await api.list(kinds.secret, {}, signal);
    const kube = crashAt(api, 1, { when: "after", of: "write" });
    const options = { resourceVersion, timeoutSeconds: 60 };
    const seen: unknown[] = [];
    const watched = (async () => {
      for await (const event of kube.watch(kinds.secret, options, signal)) seen.push(event);
    })();
    await Promise.all([
      expect(watched).rejects.toThrow(ProcessEnded),
      expect(write(kube, "a")).rejects.toThrow(ProcessEnded),
    ]);
    expect(seen).toEqual([]);
  });
});

describe("a stale view", () => {
  it("holds what was there, and what has been delivered since", async () => {
    await write(api, "a");
    const view = await openStaleView(api, kinds.secret, {
      indexBy: ({ metadata }) => metadata?.labels?.["step"],
    });
    await write(api, "a", "2");
    await write(api, "b");
    await setImmediate();
    const steps = (): string =>
      [...view.all()].map(({ metadata }) => metadata?.labels?.["step"]).join();
    expect([view.pending(), steps()]).toEqual([2, "1"]);
    view.lagBy(1);
    expect([view.pending(), steps()]).toEqual([1, "2"]);
    expect(view.get("default", "b")).toBeUndefined();
    view.deliver();
    expect(view.indexed("1").map(({ metadata }) => metadata?.name)).toEqual(["b"]);
    await view.close();
  });

  it("may miss an event, and learns of it when it lists again", async () => {
    const view = await openStaleView(api, kinds.secret);
    const { metadata } = await write(api, "a");
    await write(api, "b");
    await setImmediate();
    view.miss();
    view.deliver();
    expect(view.get("default", "a")).toBeUndefined();
    expect(view.get("default", "b")).toBeDefined();
    await view.relist();
    expect(view.get("default", "a")?.metadata).toEqual(metadata);
    await view.close();
  });
});
