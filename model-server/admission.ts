import { ServerError, type ErrorCode } from "./errors.ts";

/**
 * Rejects a request at once where it would wait too long: one that is rejected late has cost its client the wait, and one
 * whose client has given up has cost a run. The wait is estimated by the best rate of late: a thread that starts, or a machine
 * that stands still for a moment, is no reason to reject what will be answered soon. A burst may wait longer than the requests
 * of an overload, whose wait never ends (docs/decisions/0026).
 */
export interface Admission {
  /** Serves a request whose body has been read. @throws OVERLOADED before it begins, and what `serve` throws */
  readonly admit: <T>(serve: () => Promise<T>) => Promise<T>;
  /** How long a request would wait that came now, in milliseconds. */
  readonly expectedWaitMs: () => number;
}

export interface AdmissionOptions {
  readonly maxWaitMs: number;
  /** The same once requests have waited for longer than `maxWaitMs` without a break. */
  readonly overloadWaitMs: number;
  /** Requests that are served at once. */
  readonly workers: number;
  readonly now: () => number;
}

/** So many a worker are admitted always: estimates of a few requests are rough, and a slow model's queue would be empty. */
const ALWAYS = 4;
/** So many are admitted in an overload, too, if they wait no longer than `maxWaitMs`: a few clients of a slow model are none. */
const IN_OVERLOAD = 48;
/** Rates are measured over so many answers and so long, and the best of so many measurements holds. */
const WINDOW = 16;
/** Requests that shared a run are answered at once: the last of them would seem to have cost nothing. */
const WINDOW_MS = 50;
const WINDOWS = 20;
/** These only waited: counted as answers, they would make every answer cheap. */
const NOT_SERVED: ReadonlySet<ErrorCode> = new Set(["CLIENT_GONE", "TIMED_OUT", "OVERLOADED"]);

export function createAdmission(options: AdmissionOptions): Admission {
  const { maxWaitMs, overloadWaitMs, workers, now } = options;
  let inFlight = 0;
  let latest = 0;
  /** When no request last waited for a worker. */
  let free = now();
  /** Of this window: requests that were answered, and the time that the workers were busy with them. */
  let answered = 0;
  let busyMs = 0;
  /** What an answer took, in milliseconds, in each of the last windows. */
  const costs: number[] = [];

  function account(): void {
    const time = now();
    // Where fewer are in flight than could be, the others' share of the time was free.
    busyMs += ((time - latest) * Math.min(inFlight, workers)) / workers;
    latest = time;
    if (inFlight <= workers) free = time;
  }

  function countAnswer(): void {
    account();
    answered += 1;
    if (answered < WINDOW || busyMs < WINDOW_MS) return;
    costs.push(busyMs / answered);
    if (costs.length > WINDOWS) costs.shift();
    answered = 0;
    busyMs = 0;
  }

  /** What an answer takes the workers together; 0 before anything is known. */
  function costMs(): number {
    return costs.length === 0 ? 0 : Math.min(...costs);
  }

  const expectedWaitMs = (): number => inFlight * costMs();

  function limitMs(): number {
    if (now() - free <= maxWaitMs) return maxWaitMs;
    return Math.min(maxWaitMs, Math.max(overloadWaitMs, IN_OVERLOAD * costMs()));
  }

  return {
    expectedWaitMs,
    admit: async (serve) => {
      account();
      const limit = limitMs();
      if (inFlight >= ALWAYS * workers && expectedWaitMs() > limit)
        throw new ServerError(
          "OVERLOADED",
          `more requests wait than are answered in ${Math.round(limit)} ms: try again in a moment`,
        );
      inFlight += 1;
      try {
        const answer = await serve();
        countAnswer();
        return answer;
      } catch (error) {
        // Of other refusals each took its share of the time.
        if (error instanceof ServerError && NOT_SERVED.has(error.code)) account();
        else countAnswer();
        throw error;
      } finally {
        inFlight -= 1;
      }
    },
  };
}
