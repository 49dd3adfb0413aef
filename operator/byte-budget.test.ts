import { PassThrough } from "node:stream";

import { describe, expect, it } from "vitest";

import { readBounded } from "./body.ts";
import { BudgetError, createByteBudget } from "./byte-budget.ts";

describe("the budget of all responses", () => {
  it("gives up the largest, and leaves smaller ones alone", () => {
    const budget = createByteBudget(100);
    const [large, small] = [budget.open(), budget.open()];
    large.take(70);
    small.take(20);
    small.take(20);
    expect(() => large.take(1)).toThrow(BudgetError);
    small.take(40);
    expect(budget.held()).toBe(80);
    small.close();
    expect(budget.held()).toBe(0);
  });

  it("is returned when a share is closed, once", () => {
    const budget = createByteBudget(100);
    const share = budget.open();
    share.take(60);
    share.close();
    share.close();
    expect(budget.held()).toBe(0);
  });

  it("holds no more than that, while a hundred bodies that never end stall", async () => {
    const budget = createByteBudget(1_000_000);
    const bodies = Array.from({ length: 100 }, () => new PassThrough());
    const reads = bodies.map((body) =>
      readBounded(body, 8_000_000, budget).then(
        () => "read",
        (error: unknown) => (error instanceof BudgetError ? "given up" : error),
      ),
    );
    for (let round = 0; round < 30; round += 1) {
      for (const body of bodies) if (!body.destroyed) body.write(Buffer.alloc(10_000));
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      expect(budget.held()).toBeLessThanOrEqual(1_000_000);
    }
    const honest = new PassThrough();
    const read = readBounded(honest, 8_000_000, budget);
    honest.end(Buffer.alloc(5000));
    expect((await read).whole).toBe(true);
    for (const body of bodies) if (!body.destroyed) body.end();
    const ends = await Promise.all(reads);
    expect(new Set(ends)).toEqual(new Set(["read", "given up"]));
    expect(budget.held()).toBe(0);
  });
});
