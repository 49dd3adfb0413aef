import { describe, expect, it } from "vitest";

import { PollQueue } from "./poll-queue.ts";

function world() {
  const queue = new PollQueue();
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  return {
    queue,
    begun,
    /** Adds a task that runs until the test ends it. */
    add: (namespace: string, host: string) => {
      const run = (): Promise<void> => {
        begun.push(namespace);
        return new Promise((resolve) => {
          ends.push(resolve);
        });
      };
      queue.add({ namespace, host, run });
    },
    endFirst: async () => {
      ends.shift()?.();
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    },
  };
}

describe("the queue of polls", () => {
  it("lets namespaces take turns at a host", async () => {
    const { add, begun, endFirst } = world();
    for (let index = 0; index < 8; index += 1) add("many", "one.example");
    add("few", "one.example");
    add("fewer", "one.example");
    for (let index = 0; index < 3; index += 1) await endFirst();
    expect(begun).toEqual(["many", "many", "many", "many", "many", "few", "fewer"]);
  });

  it("gives one namespace 16 polls at once, and others their own at once", () => {
    const { add, begun } = world();
    for (let index = 0; index < 100; index += 1) add("many", `${index}.example`);
    expect(begun).toHaveLength(16);
    add("few", "few.example");
    expect(begun).toHaveLength(17);
  });

  it("begins no more than 256 polls, for any number of namespaces", () => {
    const { add, begun } = world();
    for (let index = 0; index < 1000; index += 1) add(`${index}`, `${index}.example`);
    expect(begun).toHaveLength(256);
  });

  it("is idle once every task has ended", async () => {
    const { add, queue, begun, endFirst } = world();
    for (let index = 0; index < 6; index += 1) add("shop", "one.example");
    let isIdle = false;
    void queue.onIdle().then(() => (isIdle = true));
    for (let index = 0; index < 6; index += 1) {
      expect(isIdle).toBe(false);
      await endFirst();
    }
    expect(begun).toHaveLength(6);
    expect(isIdle).toBe(true);
    expect(queue.loadOf("shop")).toBe(0);
  });
});
