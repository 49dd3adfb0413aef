import { median } from "../../bench/figures.ts";

/** What a server's memory says of leaks. */

/** A run is measured so often: each quarter five times. */
export const WINDOWS = 20;
const QUARTER = WINDOWS / 4;

/** At the end of a window. */
export interface Measured {
  /** All that were sent until then. */
  readonly requests: number;
  readonly residentMb: number;
}

/** Fewer requests show no leak beside the noise of a heap. */
const MIN_REQUESTS = 40_000;
/** Of growth a request. */
const MAX_BYTES = 300;

/**
 * Growth that goes on: from the second quarter to the third, and from the third to the last. Heaps and caches have their size
 * by then, and a heap that grows once does so in one of them alone.
 * @returns undefined where there is none, or too few requests to see it
 */
export function leakIn(memory: readonly Measured[]): string | undefined {
  if ((memory.at(-1)?.requests ?? 0) < MIN_REQUESTS) return undefined;
  const [second, third, last] = [1, 2, 3].map((quarter) => medianOf(memory, quarter * QUARTER));
  if (second === undefined || third === undefined || last === undefined) return undefined;
  const bytes = Math.min(slopeOf(second, third), slopeOf(third, last));
  return bytes <= MAX_BYTES
    ? undefined
    : `memory goes on growing, by ${Math.round(bytes)} bytes a request: ${second.residentMb.toFixed(0)} MB in the second quarter, ${last.residentMb.toFixed(0)} MB in the last`;
}

/** Of the quarter that begins with this window: its median memory, at its middle. */
function medianOf(memory: readonly Measured[], from: number): Measured | undefined {
  const quarter = memory.slice(from, from + QUARTER);
  const requests = quarter[Math.floor(QUARTER / 2)]?.requests;
  if (requests === undefined) return undefined;
  return { requests, residentMb: median(quarter.map(({ residentMb }) => residentMb)) };
}

function slopeOf(a: Measured, b: Measured): number {
  return (1e6 * (b.residentMb - a.residentMb)) / (b.requests - a.requests);
}
