import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";

import { allowedDifference } from "./samples.ts";

const DEFAULT = 0.01;

describe("a number of a response may differ from the expected one", () => {
  it("by the tolerance itself, up to 100", () => {
    const percent = fc.double({ min: -100, max: 100, noNaN: true });
    const tolerance = fc.double({ min: 0, max: 10, noNaN: true });
    fc.assert(
      fc.property(percent, percent, tolerance, (actual, expected, tolerance) => {
        expect(allowedDifference(actual, expected, tolerance)).toBe(tolerance);
      }),
    );
  });

  test.each([
    ["a float near 250,000", 250_000.02, 250_000.5, 25],
    ["a negative one", -250_000.02, -250_000.5, 25],
    ["one that is whole where the other is not", 250_000, 250_000.5, 25],
  ])("by a ten-thousandth of it beyond that: %s", (_, actual, expected, allowed) => {
    expect(allowedDifference(actual, expected, DEFAULT)).toBeCloseTo(allowed, 0);
  });

  test.each([
    [12_000_001, 12_000_000],
    [-12_000_001, -12_000_000],
    [2 ** 25 + 4, 2 ** 25],
  ])("by a step of a float of 32 bits where that is always whole: %i of %i", (actual, expected) => {
    const allowed = allowedDifference(actual, expected, DEFAULT);
    expect(allowed).toBeGreaterThanOrEqual(Math.abs(actual - expected));
    expect(allowed).toBeLessThan(2 * Math.abs(actual - expected));
  });

  test.each([250_000, -250_000, 2 ** 22 - 1])(
    "by no more than the tolerance where both are whole, such as ids: %i",
    (id) => {
      expect(allowedDifference(id - Math.sign(id), id, DEFAULT)).toBe(DEFAULT);
    },
  );

  it("not at all with a tolerance of 0", () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (expected) => {
        expect(allowedDifference(expected + 1, expected, 0)).toBe(0);
      }),
    );
  });
});
