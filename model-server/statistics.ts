import type { RunReport } from "./engine/options.ts";
import type { StageSums } from "./stages.ts";

/** How long a request took, in milliseconds, and its stages. */
export interface RequestTimes extends StageSums {
  readonly rows: number;
  readonly total: number;
}

export interface Duration {
  count: number;
  ms: number;
}

export interface BatchStatistics {
  readonly rows: number;
  readonly compute: Duration;
}

/** What has been served since the start. */
export interface Statistics {
  readonly addRequest: (times: RequestTimes) => void;
  readonly addFailure: (ms: number) => void;
  readonly addRun: (run: RunReport) => void;
  readonly totals: Readonly<Record<DurationName, Readonly<Duration>>>;
  readonly rows: () => number;
  readonly runs: () => number;
  /** Of these, without a worker. */
  readonly mainThreadRuns: () => number;
  /** By the rows of a run, ascending. */
  readonly batches: () => readonly BatchStatistics[];
  /** In milliseconds of the epoch; 0: none yet. */
  readonly lastInference: () => number;
}

const stages = ["queue", "input", "compute", "output"] as const satisfies (keyof StageSums)[];
export type DurationName = "success" | "fail" | (typeof stages)[number];

/** Clients choose how many rows a run has, so that the sizes that are counted need a bound. */
const MAX_SIZES = 1000;

/** @param epoch the milliseconds of the epoch now */
export function createStatistics(epoch: () => number): Statistics {
  const create = (): Duration => ({ count: 0, ms: 0 });
  const totals: Record<DurationName, Duration> = {
    success: create(),
    fail: create(),
    queue: create(),
    input: create(),
    compute: create(),
    output: create(),
  };
  const batches = new Map<number, Duration>();
  let rows = 0;
  let runs = 0;
  let mainThreadRuns = 0;
  let lastInference = 0;
  return {
    totals,
    rows: () => rows,
    runs: () => runs,
    mainThreadRuns: () => mainThreadRuns,
    lastInference: () => lastInference,
    batches: () =>
      [...batches]
        .map(([size, compute]) => ({ rows: size, compute }))
        .toSorted((a, b) => a.rows - b.rows),
    addRequest: (times) => {
      rows += times.rows;
      lastInference = epoch();
      add(totals.success, times.total);
      for (const stage of stages) add(totals[stage], times[stage]);
    },
    addFailure: (ms) => add(totals.fail, ms),
    addRun: (run) => {
      runs += 1;
      if (run.isOnMainThread) mainThreadRuns += 1;
      const known = batches.get(run.rows);
      const batch = known ?? create();
      if (known === undefined && batches.size < MAX_SIZES) batches.set(run.rows, batch);
      add(batch, run.computed);
    },
  };
}

function add(duration: Duration, ms: number): void {
  duration.count += 1;
  duration.ms += ms;
}
