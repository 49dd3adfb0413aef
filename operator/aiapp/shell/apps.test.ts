import { describe, expect, it } from "vitest";

import { simulate, TEST_TIMEOUT_MS } from "./simulation.testing.ts";

/** `npm run simulate -- --apps 3 --seed N --hours H` runs it for longer. */
const HOURS = 20;

describe("apps that follow one image and one model", () => {
  it.each([1, 2, 4])(
    "each keep the invariants, and are not changed by what happens to another (seed %i)",
    async (seed) => {
      const { problems, isConverged, writes } = await simulate({ seed, hours: HOURS, apps: 3 });
      expect(problems).toEqual([]);
      expect(isConverged).toBe(true);
      expect(writes).toBeGreaterThan(3 * HOURS);
    },
    TEST_TIMEOUT_MS,
  );
});
