const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** Milliseconds of a duration such as `1h30m`. The schema has checked its form. */
export function milliseconds(duration: string): number {
  let total = 0;
  for (const [, count = "0", unit = "s"] of duration.matchAll(/(\d+)(ms|h|m|s)/g)) {
    total += Number(count) * (UNITS[unit] ?? 0);
  }
  return total;
}

/** The shortest `spec.interval` that the CRD admits, in milliseconds. */
export const MIN_INTERVAL_MS = 1000;
