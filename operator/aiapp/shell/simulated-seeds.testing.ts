import { expect, it } from "vitest";

import { simulate, type SimulationOptions } from "./simulation.testing.ts";

const TIMEOUT_MS = 600_000;

/**
 * A test for each seed.
 * @param title of the tests; the seed is added
 */
export function itSimulates(
  title: string,
  seeds: readonly number[],
  options: Omit<SimulationOptions, "seed">,
): void {
  const { hours, apps = 1 } = options;
  it.each(seeds)(
    `${title} (seed %i)`,
    async (seed) => {
      const { problems, isConverged, writes } = await simulate({ ...options, seed });
      expect(problems).toEqual([]);
      expect(isConverged).toBe(true);
      expect(writes).toBeGreaterThan(apps * hours);
    },
    TIMEOUT_MS,
  );
}
