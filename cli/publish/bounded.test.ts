import { describe, expect, test } from "vitest";

import { mapBounded, slots } from "./bounded.ts";

const idle = new AbortController().signal;

describe("mapping with a bound", () => {
  test("keeps the order of the results and never has more at work than allowed", async () => {
    let atWork = 0;
    let most = 0;
    const results = await mapBounded(
      [5, 1, 4, 2, 3],
      2,
      async (item) => {
        atWork += 1;
        most = Math.max(most, atWork);
        for (let turn = 0; turn < item; turn += 1) await Promise.resolve();
        atWork -= 1;
        return item * 10;
      },
      idle,
    );
    expect(results).toEqual([50, 10, 40, 20, 30]);
    expect(most).toBe(2);
  });

  test("throws the first failure after the others were aborted and have ended", async () => {
    const ended: number[] = [];
    const work = mapBounded(
      [1, 2, 3],
      2,
      async (item, signal) => {
        if (item === 1) throw new Error("first");
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        ended.push(item);
      },
      idle,
    );
    await expect(work).rejects.toThrow("first");
    expect(ended).toEqual([2]);
  });
});

describe("slots", () => {
  test("let the next task in when one ends, also when it fails", async () => {
    const inSlot = slots(1);
    const order: string[] = [];
    const first = inSlot(async () => {
      order.push("first");
      throw new Error("no");
    });
    const second = inSlot(async () => order.push("second"));
    await expect(first).rejects.toThrow("no");
    await second;
    expect(order).toEqual(["first", "second"]);
  });
});
