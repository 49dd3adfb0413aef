import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { bothCrash, neighbours, undisturbed } from "./neighbours.testing.ts";
import { differences, faultsOf, playWith } from "./play.testing.ts";
import { scenarios } from "./scenarios.testing.ts";

/**
 * Crash safety: the operator ends before and after each write and at each read, its caches are behind or miss an event,
 * two of them overlap. A seeded sample runs here; `npm run crash` runs all of it, and CRASH with the name of a kind of
 * faults (crash, pause, staleness) all of those; with CRASH_BAIL it ends at the first fault that shows a problem.
 */

const chosen = process.env["CRASH"] ?? "";
const isFull = chosen !== "";
const bails = process.env["CRASH_BAIL"] !== undefined;
const isKind = isFull && chosen !== "full";
const seed = Number(process.env["CRASH_SEED"] ?? 1);
const SAMPLE = 4;
const FULL_MS = 3_600_000;

describe("an app ends the same, whatever goes wrong", () => {
  it.each([...scenarios, undisturbed, bothCrash, ...neighbours])(
    "$name",
    async (scenario) => {
      const expected = await playWith(scenario, {});
      expect(expected.problems).toEqual([]);
      const all = faultsOf(expected).filter((fault) => !isKind || chosen in fault);
      const faults = isFull
        ? all
        : fc.sample(fc.constantFrom(...all), {
            numRuns: SAMPLE,
            seed: seed + scenario.name.length,
          });
      const problems: string[] = [];
      for (const fault of faults) {
        const name = JSON.stringify(fault);
        try {
          const played = await playWith(scenario, fault);
          const found = [...played.problems, ...differences(expected.snapshots, played.snapshots)];
          problems.push(...found.map((what) => `${name}: ${what}`));
        } catch (error) {
          problems.push(`${name}: ${String(error)}`);
        }
        if (bails && problems.length > 0) break;
      }
      expect(problems).toEqual([]);
    },
    isFull ? FULL_MS : 60_000,
  );
});

describe("an app ends the same, whatever happens to its neighbour", () => {
  it.each(neighbours)("$name", async (scenario) => {
    const [, expected] = (await playWith(undisturbed, {})).snapshots;
    const [, actual] = (await playWith(scenario, {})).snapshots;
    expect(actual).toEqual(expected);
  });
});
