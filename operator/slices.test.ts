import { monitorEventLoopDelay } from "node:perf_hooks";

import { describe, expect, it } from "vitest";

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
