/** Doubles from `baseMs` to `maxMs` with each failure. Without jitter: the time of a decision must be reproducible. */
export function backoffMs(failures: number, baseMs: number, maxMs: number): number {
  return Math.min(maxMs, baseMs * 2 ** Math.min(Math.max(0, failures), 30));
}
