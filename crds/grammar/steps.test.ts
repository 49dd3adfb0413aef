import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { lastOf, sortInSteps } from "./steps.ts";

describe("sorting in steps", () => {
  it("gives what sorting at once gives, and keeps the order of what is equal", () => {
    const items = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer()), {
      maxLength: 99,
    });
    fc.assert(
      fc.property(items, (list) => {
        const compare = ([a]: [number, number], [b]: [number, number]): number => a - b;
        expect(lastOf(sortInSteps(list, compare))).toEqual(list.toSorted(compare));
      }),
    );
  });

  it("compares at most once in a step", () => {
    const list = Array.from({ length: 1000 }, (_, n) => (n * 7919) % 1000);
    let compared = 0;
    const steps = sortInSteps(list, (a, b) => {
      compared += 1;
      return a - b;
    });
    for (let step = steps.next(); step.done !== true; step = steps.next()) {
      expect(compared).toBeLessThanOrEqual(1);
      compared = 0;
    }
  });
});
