/** What the pods of one release have counted since a step began. */
export interface Counts {
  readonly requests: number;
  /** Requests that failed by a fault of the server, not of the client. */
  readonly errors: number;
  /** Of the requests that were answered; undefined without any. */
  readonly p95Ms: number | undefined;
}

/** What was measured of a step of a canary. */
export interface Measurement {
  /** Which step. */
  readonly key: string;
  /** Milliseconds: the first and the last measurement. */
  readonly since: number;
  readonly until: number;
  /** Undefined when no pod of the set has metrics that the operator can read. */
  readonly stable: Counts | undefined;
  readonly candidate: Counts | undefined;
}

/** The least number of requests of each set that says something. */
export const MIN_REQUESTS = 50;
/** So many give a percentile that ends a step before its time. The first requests to new pods are slow. */
const MANY_REQUESTS = 500;
/** Beyond what the stable pods have in the same time. */
const MORE_ERRORS = 0.01;
const SLOWER = 1.5;
const SLOWER_MS = 50;

export interface Comparison {
  readonly isWorse: boolean;
  readonly message: string;
}

/**
 * Compares the pods of a canary with the stable ones over the same time. With too little to compare it is not worse.
 *
 * @param isOver the step has had its time: the latency counts then also of few requests
 */
export function compare({ stable, candidate }: Measurement, isOver: boolean): Comparison {
  if (stable === undefined || candidate === undefined)
    return {
      isWorse: false,
      message: "its pods have no metrics that the operator can read: judged on readiness alone",
    };
  const fewest = Math.min(stable.requests, candidate.requests);
  if (fewest < MIN_REQUESTS)
    return {
      isWorse: false,
      message: `too few requests to compare (${fewest} of ${MIN_REQUESTS}): judged on readiness alone`,
    };
  const allowedRate = stable.errors / stable.requests + MORE_ERRORS;
  const rate = candidate.errors / candidate.requests;
  const allowedMs =
    stable.p95Ms === undefined ? Number.POSITIVE_INFINITY : stable.p95Ms * SLOWER + SLOWER_MS;
  const p95Ms = candidate.p95Ms ?? 0;
  const isSlower = p95Ms > allowedMs && (isOver || fewest >= MANY_REQUESTS);
  return {
    isWorse: rate > allowedRate || isSlower,
    message:
      `error rate ${percent(rate)} (allowed ${percent(allowedRate)}), ` +
      `p95 ${Math.round(p95Ms)} ms (allowed ${Math.round(allowedMs)} ms) of ${candidate.requests} requests`,
  };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}
