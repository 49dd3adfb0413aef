import { describe, expect, it } from "vitest";

import { simulate } from "./simulation.testing.ts";

/** `npm run simulate -- --seed N --hours H` runs it for longer. */
const HOURS = 20;

describe("a simulation of pushes, faults, crashes and what users ask", () => {
  it.each([1, 2, 3])("keeps the invariants at every write (seed %i)", async (seed) => {
    const { problems, isConverged, writes } = await simulate({ seed, hours: HOURS });
    expect(problems).toEqual([]);
    expect(isConverged).toBe(true);
    expect(writes).toBeGreaterThan(HOURS);
  });

  it("is the same for the same seed", async () => {
    const [one, other] = [
      await simulate({ seed: 9, hours: 5 }),
      await simulate({ seed: 9, hours: 5 }),
    ];
    expect(other).toEqual(one);
    expect((await simulate({ seed: 10, hours: 5 })).events).not.toEqual(one.events);
  });
});
