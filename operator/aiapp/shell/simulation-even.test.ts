import { describe, expect, it } from "vitest";

import { simulate, TEST_HOURS, TEST_TIMEOUT_MS } from "./simulation.testing.ts";

describe("a simulation of pushes, faults, crashes and what users ask", () => {
  it.each([2, 4, 6, 8, 10])(
    "keeps the invariants at every write (seed %i)",
    async (seed) => {
      const { problems, isConverged, writes } = await simulate({ seed, hours: TEST_HOURS });
      expect(problems).toEqual([]);
      expect(isConverged).toBe(true);
      expect(writes).toBeGreaterThan(TEST_HOURS);
    },
    TEST_TIMEOUT_MS,
  );
});
