import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { nanosOf, sameQuantity } from "./quantity.ts";

describe("two quantities", () => {
  it.each([
    ["0.5", "500m"],
    ["1", "1000m"],
    ["1024Mi", "1Gi"],
    ["1.5Gi", "1536Mi"],
    ["1e3", "1k"],
    ["12E2", "1200"],
    ["1E", "1000P"],
    ["+1", "1"],
    [".5", "0.50"],
    ["1.", "1"],
    ["0", "0Gi"],
    ["-1k", "-1000"],
  ])("are the same when they are the same amount: %s and %s", (a, b) => {
    expect(sameQuantity(a, b)).toBe(true);
  });

  it.each([
    ["1G", "1Gi"],
    ["1m", "1M"],
    ["1", "-1"],
    ["9007199254740993", "9007199254740992"],
    ["100", "100 "],
    ["1e3Ki", "1000Ki"],
  ])("differ when they are not: %s and %s", (a, b) => {
    expect(sameQuantity(a, b)).toBe(false);
  });

  it("are no quantities, and the same only when they are the same text", () => {
    for (const text of ["", ".", "Gi", "1 Gi", "0x10", "1e", "NaN", "1.2.3", "1ki"]) {
      expect(nanosOf(text)).toBeUndefined();
      expect(sameQuantity(text, text)).toBe(true);
      expect(sameQuantity(text, "0")).toBe(false);
    }
  });

  it("cost the same for hostile texts as for others: no number grows beyond a bound", () => {
    for (const text of ["1e999999999", "1e999", "9".repeat(100_000), `0.${"0".repeat(100_000)}1`]) {
      expect(nanosOf(text)).toBeUndefined();
    }
    const digits = (nanosOf(`${"9".repeat(60)}e40`) ?? 0n).toString().length;
    expect(digits).toBeLessThanOrEqual(60 + 40 + 9);
  });

  it("are the same with another suffix of the same amount", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000 }), (amount) => {
        expect(sameQuantity(`${amount}`, `${amount * 1000}m`)).toBe(true);
        expect(sameQuantity(`${amount}Ki`, `${amount * 1024}`)).toBe(true);
        expect(sameQuantity(`${amount}`, `${amount + 1}`)).toBe(false);
      }),
    );
  });
});
