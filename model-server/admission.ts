import { ServerError } from "./errors.ts";

/**
 * Rejects a request at once where it would wait too long: one that is rejected late has cost its client the wait, and one
 * whose client has given up has cost a run. The wait is estimated by what requests have taken of the workers lately.
 */
export interface Admission {
  /** Serves a request whose body has been read. @throws OVERLOADED before it begins, and what `serve` throws */
  readonly admit: <T>(serve: () => Promise<T>) => Promise<T>;
  /** How long a request would wait that came now, in milliseconds. */
  readonly expectedWaitMs: () => number;
}

export interface AdmissionOptions {
  readonly maxWaitMs: number;
  /** Requests that are served at once. */
  readonly workers: number;
  readonly now: () => number;
}

/** So many a worker are admitted always: estimates of a few requests are rough, and a slow model's queue would be empty. */
const ALWAYS = 4;
/** A request counts half after so many others. */
const HALF_LIFE = 50;
const DECAY = 0.5 ** (1 / HALF_LIFE);

export function createAdmission({ maxWaitMs, workers, now }: AdmissionOptions): Admission {
  let inFlight = 0;
  let latest = 0;
  /** Decaying sums: requests that were answered, and the time that the workers were busy with them. */
  let answered = 0;
  let busyMs = 0;

  function account(): void {
    const time = now();
    // Where fewer are in flight than could be, the others' share of the time was free.
    busyMs += ((time - latest) * Math.min(inFlight, workers)) / workers;
    latest = time;
  }

  function expectedWaitMs(): number {
    return answered === 0 ? 0 : (inFlight * busyMs) / answered;
  }

  return {
    expectedWaitMs,
    admit: async (serve) => {
      if (inFlight >= ALWAYS * workers && expectedWaitMs() > maxWaitMs)
        throw new ServerError(
          "OVERLOADED",
          `more requests wait than are answered in ${maxWaitMs} ms: try again in a moment`,
        );
      account();
      inFlight += 1;
      try {
        const answer = await serve();
        account();
        answered = answered * DECAY + 1;
        busyMs *= DECAY;
        return answer;
      } finally {
        account();
        inFlight -= 1;
      }
    },
  };
}
