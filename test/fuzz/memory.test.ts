import { describe, expect, test } from "vitest";

import { leakIn, WINDOWS, type Measured } from "./memory.ts";

/** What a run of so many requests measures, where memory in MB follows from the requests. */
function measure(count: number, residentMb: (requests: number) => number): readonly Measured[] {
  return Array.from({ length: WINDOWS }, (_, at) => {
    const requests = ((at + 1) * count) / WINDOWS;
    return { requests, residentMb: residentMb(requests) };
  });
}

const COUNT = 60_000;
/** A heap that steps up and down by a few megabytes. */
const noise = (requests: number): number => 2 * Math.sin(requests);

describe("memory that grows", () => {
  test("by 1 kB a request is a leak", () => {
    const memory = measure(COUNT, (requests) => 270 + requests / 1000 + noise(requests));
    expect(leakIn(memory)).toMatch(
      /^memory goes on growing, by ([89]|1[01])\d\d bytes a request: /,
    );
  });

  test("until heaps and caches have their size is none", () => {
    const memory = measure(COUNT, (requests) => Math.min(270, 100 + requests / 100));
    expect(leakIn(memory)).toBe(undefined);
  });

  test.each([0.3, 0.45, 0.55, 0.6, 0.65, 0.8])(
    "in one step of a heap is none: after %f of the run",
    (share) => {
      const memory = measure(COUNT, (requests) => (requests > share * COUNT ? 300 : 270));
      expect(leakIn(memory)).toBe(undefined);
    },
  );

  test("and shrinks again is none", () => {
    expect(leakIn(measure(COUNT, (requests) => 270 + noise(requests)))).toBe(undefined);
  });

  test("in a run too short to say so is not judged", () => {
    expect(leakIn(measure(10_000, (requests) => 270 + requests / 1000))).toBe(undefined);
  });
});
