import { monitorEventLoopDelay } from "node:perf_hooks";

import { describe, expect, it } from "vitest";

import { onAccount, type Account, type Charge } from "./account.ts";
import type { Steps } from "../crds/grammar/steps.ts";
import { selectInSteps, selectVersions } from "../crds/grammar/version-order.ts";
import { anonymousRegistry } from "./sources/registry/registry.testing.ts";
import { imageSource } from "./sources/registry/image-source.ts";
import { createSlices } from "./slices.ts";

const signal = new AbortController().signal;

describe("a long list", () => {
  it("is worked on in its order, to its end", async () => {
    const items = Array.from({ length: 1000 }, (_, index) => index);
    const done: number[] = [];
    await createSlices(() => done.length).forEach(items, (item) => done.push(item), signal);
    expect(done).toEqual(items);
  });

  it("takes turns with others, and with the rest of the process", async () => {
    let time = 0;
    const slices = createSlices(() => time);
    const turns: string[] = [];
    const work = (name: string) => () => {
      time += 1;
      if (turns.at(-1) !== name) turns.push(name);
    };
    const items = Array.from({ length: 48 }, () => 0);
    await Promise.all([
      slices.forEach(items, work("a"), signal),
      slices.forEach(items, work("b"), signal),
    ]);
    // Ten of them are a slice, and the clock is read after each eight.
    expect(turns).toEqual(["a", "b", "a", "b", "a", "b"]);
  });

  it("is given up between two slices when the signal is aborted, and the next list begins", async () => {
    const slices = createSlices();
    const stop = new AbortController();
    const stopped = slices.forEach([1, 2, 3], () => stop.abort(new Error("stopped")), stop.signal);
    await stopped;
    await expect(slices.forEach([1], () => {}, stop.signal)).rejects.toThrow("stopped");
    let count = 0;
    await slices.forEach([1, 2], () => (count += 1), signal);
    expect(count).toBe(2);
  });
});

describe("the lists of two namespaces", () => {
  it("take turns: sixteen long ones of one do not delay a short one of the other", async () => {
    let time = 0;
    const slices = createSlices(() => time);
    /** Whose slices ran, in order. */
    const ran: string[] = [];
    const stop = new AbortController();
    const accountOf = (namespace: string): Account => ({ namespace, charge: () => {} });
    const work = (namespace: string, items: number): Promise<void> =>
      onAccount(accountOf(namespace), () => {
        let last = -1;
        const item = (): void => {
          // A slice of this list begins where those of others ran since.
          if (last !== time) ran.push(namespace);
          time += 1;
          last = time;
        };
        return slices.forEach(Array.from({ length: items }), item, stop.signal);
      });
    const evil = Array.from({ length: 16 }, () => work("evil", 30_000).catch(() => {}));
    await work("shop", 160);
    stop.abort(new Error("the test ends"));
    await Promise.all(evil);
    const of = (namespace: string): number => ran.filter((name) => name === namespace).length;
    // Sixteen items are a slice.
    expect(of("shop")).toBe(10);
    expect(of("evil")).toBeLessThanOrEqual(of("shop") + 1);
    expect(of("evil")).toBeGreaterThan(5);
  });

  it("are charged to each of them by the time that their slices took", async () => {
    let time = 0;
    const slices = createSlices(() => time);
    const charged: string[] = [];
    const work = (namespace: string, items: number): Promise<void> => {
      const charge = (kind: Charge, amount: number): void =>
        void charged.push(`${namespace} ${kind} ${amount}`);
      return onAccount({ namespace, charge }, () =>
        slices.forEach(Array.from({ length: items }), () => (time += 1), signal),
      );
    };
    await Promise.all([work("shop", 20), work("zoo", 3)]);
    expect(charged).toEqual(["shop cpuMs 16", "zoo cpuMs 3", "shop cpuMs 4"]);
  });
});

describe("the pattern of an imagePolicy that takes long, over 30,000 tags, for 16 apps", () => {
  it("leaves the event loop its turns", async () => {
    const tags = Array.from({ length: 30_000 }, (_, n) => `${"a".repeat(30)}${n}`);
    const slices = createSlices();
    const registry = anonymousRegistry(tags.concat("aaa7b"));
    const policy = { pattern: `(?:${"a?".repeat(20)})+([0-9]*)b` };
    const image = "evil.example/cats";
    const anonymous = { kind: "anonymous" } as const;
    const sources = Array.from({ length: 16 }, () =>
      imageSource(registry, { image, policy }, anonymous, slices),
    );
    const stop = new AbortController();
    const loop = monitorEventLoopDelay({ resolution: 5 });
    loop.enable();
    const polls = sources.map((source) => source.poll(undefined, stop.signal).catch(() => {}));
    await Promise.race([
      Promise.all(polls),
      new Promise((resolve) => {
        setTimeout(resolve, 3000);
      }),
    ]);
    loop.disable();
    stop.abort(new Error("the test ends"));
    await Promise.all(polls);
    expect(loop.percentile(99) / 1e6).toBeLessThan(100);
  }, 60_000);
});

describe("10,000 semantic versions", () => {
  const selector = { kind: "range", range: ">=1" } as const;
  const versions = Array.from(
    { length: 10_000 },
    (_, n) => `${(n * 7919) % 100}.${(n * 104_729) % 1000}.${n}`,
  );

  it("are sorted as at once, in slices, and other work has its turn after each", async () => {
    // A clock by which each step takes a tenth of a millisecond.
    let steps = 0;
    const slices = createSlices(() => steps / 10);
    const longest = { ours: 0, turns: 0 };
    let before = 0;
    let isSorted = false;
    const onTurn = (): void => {
      longest.ours = Math.max(longest.ours, steps - before);
      longest.turns += 1;
      before = steps;
      if (!isSorted) setImmediate(onTurn);
    };
    setImmediate(onTurn);
    const counted = count(selectInSteps(versions, selector, "Auto"), () => (steps += 1));
    const sorted = await slices.run(counted, signal);
    isSorted = true;
    expect(sorted).toEqual(selectVersions(versions, selector, "Auto"));
    expect(sorted).toHaveLength(9900);
    expect(steps).toBeGreaterThan(100_000);
    // 10 ms, and the clock is read after each eight.
    expect(longest.ours).toBeLessThanOrEqual(100 + 8);
    expect(longest.turns).toBeGreaterThan(900);
  }, 60_000);

  it("are given up between two slices when the signal is aborted", async () => {
    const stop = new AbortController();
    const slices = createSlices();
    const steps = count(selectInSteps(versions, selector, "Auto"), () => stop.abort(new Error("stopped"))); // prettier-ignore
    await expect(slices.run(steps, stop.signal)).rejects.toThrow("stopped");
    expect(await slices.run(selectInSteps(["2", "1"], selector, "Auto"), signal)).toEqual([
      "2",
      "1",
    ]);
  });
});

function* count<T>(steps: Steps<T>, onStep: () => void): Steps<T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    onStep();
    yield;
  }
}
