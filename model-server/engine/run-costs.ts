/** Learns what a run of a shape takes from the runs before it: nothing is known of a shape that is new. */
export interface RunCosts {
  /**
   * Milliseconds that a run is expected to take; infinite where too little is known.
   * @param shape runs of the same shape cost the same a row
   */
  readonly expectedMs: (shape: string, rows: number) => number;
  /** @param ms what a run of so many rows took */
  readonly observe: (shape: string, rows: number, ms: number) => void;
}

/** So many runs say what the next one takes. */
const RUNS = 8;
/** Of these the slowest does not count: the machine stands still at times. */
const IGNORED = 1;
/** Clients choose shapes: beyond so many all are learned again. */
const MAX_SHAPES = 64;

interface Cost {
  /** Milliseconds a row of the last runs, the oldest first. */
  readonly latest: number[];
  perRow: number;
}

export function createRunCosts(): RunCosts {
  const costs = new Map<string, Cost>();

  function costOf(shape: string): Cost {
    const known = costs.get(shape);
    if (known !== undefined) return known;
    if (costs.size >= MAX_SHAPES) costs.clear();
    const cost: Cost = { latest: [], perRow: Infinity };
    costs.set(shape, cost);
    return cost;
  }

  return {
    expectedMs: (shape, rows) => rows * (costs.get(shape)?.perRow ?? Infinity),
    observe: (shape, rows, ms) => {
      const cost = costOf(shape);
      cost.latest.push(ms / rows);
      if (cost.latest.length > RUNS) cost.latest.shift();
      if (cost.latest.length === RUNS)
        cost.perRow = cost.latest.toSorted((a, b) => a - b)[RUNS - 1 - IGNORED] ?? Infinity;
    },
  };
}
