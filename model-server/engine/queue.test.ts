import { describe, expect, test } from "vitest";

import { createQueue } from "./queue.ts";

const limits = { requests: 3, rows: 10, bytes: 100 };

describe("a queue", () => {
  test("holds no more requests than its bound", () => {
    const queue = createQueue(limits);
    const added = [1, 2, 3, 4].map(() => queue.add({ rows: 0, bytes: 0 }));
    expect(added).toEqual([true, true, true, false]);
  });

  test.each([
    ["rows", { rows: 6, bytes: 0 }],
    ["bytes", { rows: 0, bytes: 51 }],
  ])("holds no more %s than its bound, and has room again when some have left", (_, half) => {
    const queue = createQueue(limits);
    const first = { ...half };
    expect([queue.add(first), queue.add({ ...half })]).toEqual([true, false]);
    expect(queue.remove(first)).toBe(true);
    expect(queue.remove(first)).toBe(false);
    expect(queue.add({ ...half })).toBe(true);
    expect(queue.size()).toBe(1);
  });

  test("takes one request that is larger than its bounds when it is empty", () => {
    const queue = createQueue(limits);
    expect(queue.add({ rows: 1000, bytes: 1000 })).toBe(true);
    expect(queue.add({ rows: 1, bytes: 1 })).toBe(false);
  });
});
