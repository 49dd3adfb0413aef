/**
 * Learns how many rows are worth sharing a run. A run of a small network costs about the same for one row as for sixteen;
 * one of a convolutional network costs as much a row however many there are, and sharing would only add latency and
 * memory. So the size doubles for as long as rows get cheaper, and is measured again from time to time: the machine's load
 * and the requests' shapes change.
 */
export interface BatchSize {
  /** The most rows that requests should share a run for. */
  readonly rows: () => number;
  /** @param ms what a run of so many rows took */
  readonly observe: (rows: number, ms: number) => void;
}

/** The fastest of so many runs stands for a size: what the machine does beside only makes runs slower. */
const SAMPLES = 5;
/** A row must cost this much less than at half the size. */
const WORTH = 0.85;
const RUNS_UNTIL_MEASURED_AGAIN = 1000;

export function createBatchSize(limit: number): BatchSize {
  let size = 1;
  let fastest = Infinity;
  let samples = 0;
  /** What a row took at half the size; undefined where that has not been measured. */
  let costAtHalf: number | undefined;
  /** Runs until the size is measured again; 0 while it is. */
  let settled = 0;

  function measure(next: number, half: number | undefined): void {
    size = next;
    costAtHalf = half;
    fastest = Infinity;
    samples = 0;
  }

  function decide(): void {
    if (costAtHalf !== undefined && fastest > WORTH * costAtHalf) size /= 2;
    else if (2 * size <= limit) {
      measure(2 * size, fastest);
      return;
    }
    settled = RUNS_UNTIL_MEASURED_AGAIN;
  }

  return {
    rows: () => size,
    observe: (rows, ms) => {
      if (settled > 0) {
        settled -= 1;
        if (settled === 0) measure(Math.max(1, size / 2), undefined);
        return;
      }
      // Others say nothing of this size: fewer rows where few wait, more where one request has them.
      if (rows > size || 2 * rows <= size) return;
      fastest = Math.min(fastest, ms / rows);
      samples += 1;
      if (samples === SAMPLES) decide();
    },
  };
}
