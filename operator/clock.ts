/** Time and randomness as arguments, so that tests control them. Milliseconds since the epoch. */
export interface Clock {
  readonly now: () => number;
  /** Calls back once after `ms`; the returned function cancels that. Does not keep the process alive. */
  readonly after: (ms: number, callback: () => void) => () => void;
  /** From 0 to 1, for jitter. */
  readonly random: () => number;
}

/** The longest delay that setTimeout takes. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, Math.min(Math.max(0, ms), MAX_TIMEOUT_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};

/** Resolves after `ms`, or as soon as the signal is aborted. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const cancel = clock.after(ms, finish);
    function finish(): void {
      cancel();
      signal.removeEventListener("abort", finish);
      resolve();
    }
    signal.addEventListener("abort", finish, { once: true });
  });
}

/**
 * Runs `work` with a signal that is aborted with `signal`, or after `ms` with a TimeoutError. Unlike
 * `AbortSignal.timeout` and `AbortSignal.any`, it leaves neither a timer nor a reference behind when the work is done.
 */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const bounded = new AbortController();
  const abort = (): void => bounded.abort(signal.reason);
  const cancel = clock.after(ms, () =>
    bounded.abort(new DOMException(`not done within ${ms} ms`, "TimeoutError")),
  );
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await work(bounded.signal);
  } finally {
    cancel();
    signal.removeEventListener("abort", abort);
  }
}

/** Milliseconds to wait: doubles from `base` to `max` with each failure, ± 20 %. */
export function backoff(failures: number, base: number, max: number, random: () => number): number {
  return Math.min(max, base * 2 ** Math.min(failures, 30)) * (0.8 + 0.4 * random());
}
