import { cancellationOf, ServerError } from "../errors.ts";

/** Lets so many tasks run at once; the others wait their turn, first come first served. */
export interface Turnstile {
  /**
   * Runs the task when its turn comes.
   * @param admitted a task of a request that has passed before: it may always wait
   * @throws OVERLOADED when too many wait, or the signal's reason before the task has begun
   */
  readonly pass: (
    task: () => Promise<void>,
    signal: AbortSignal,
    admitted: boolean,
  ) => Promise<void>;
  readonly waiting: () => number;
}

export function createTurnstile(options: {
  readonly concurrency: number;
  readonly maxWaiting: number;
}): Turnstile {
  const waiting = new Set<() => void>();
  let running = 0;

  function leave(): void {
    const [next] = waiting;
    if (next === undefined) {
      running -= 1;
      return;
    }
    // The turn is handed over: nothing that comes meanwhile may take it.
    waiting.delete(next);
    next();
  }

  async function enter(signal: AbortSignal, admitted: boolean): Promise<void> {
    if (running < options.concurrency) {
      running += 1;
      return;
    }
    if (waiting.size >= options.maxWaiting && !admitted)
      throw new ServerError("OVERLOADED", "too many images wait: try again in a moment");
    const turn = Promise.withResolvers<void>();
    const cancel = (): void => {
      if (waiting.delete(turn.resolve)) turn.reject(cancellationOf(signal));
    };
    waiting.add(turn.resolve);
    signal.addEventListener("abort", cancel, { once: true });
    try {
      await turn.promise;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  return {
    pass: async (task, signal, admitted) => {
      if (signal.aborted) throw cancellationOf(signal);
      await enter(signal, admitted);
      try {
        await task();
      } finally {
        leave();
      }
    },
    waiting: () => waiting.size,
  };
}
