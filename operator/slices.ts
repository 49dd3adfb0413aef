import { setImmediate as nextTurn } from "node:timers/promises";

import type { Steps } from "../crds/grammar/steps.ts";

/**
 * Runs work on a long list in slices of a few milliseconds. The event loop has a turn of its own between any two slices,
 * and one list after the other gets one: neither the list of a tenant nor many of them delay what else the process does.
 */
export interface Slices {
  /** @throws the signal's reason, between two slices */
  readonly forEach: <T>(
    items: readonly T[],
    work: (item: T) => void,
    signal: AbortSignal,
  ) => Promise<void>;
  /** Takes all steps. @throws the signal's reason, between two slices */
  readonly run: <T>(steps: Steps<T>, signal: AbortSignal) => Promise<T>;
}

const SLICE_MS = 10;
/** Reading the clock costs less than this many items of the usual kind. */
const ITEMS_PER_CHECK = 8;

/** @param now milliseconds, from any start */
export function createSlices(now: () => number = () => performance.now()): Slices {
  /** The slice that begins next follows this one. */
  let last: Promise<unknown> = Promise.resolve();

  async function runAlone<T>(slice: () => T): Promise<T> {
    const before = last;
    const done = before.then(() => nextTurn()).then(slice);
    last = done.catch(() => {});
    return done;
  }

  return {
    run: async <T>(steps: Steps<T>, signal: AbortSignal): Promise<T> => {
      for (;;) {
        const ended = await runAlone(() => {
          signal.throwIfAborted();
          const end = now() + SLICE_MS;
          for (let count = 1; ; count += 1) {
            const step = steps.next();
            if (step.done === true) return { value: step.value };
            if (count % ITEMS_PER_CHECK === 0 && now() >= end) return undefined;
          }
        });
        if (ended !== undefined) return ended.value;
      }
    },
    forEach: async (items, work, signal) => {
      let index = 0;
      while (index < items.length) {
        await runAlone(() => {
          signal.throwIfAborted();
          const end = now() + SLICE_MS;
          do {
            const until = Math.min(index + ITEMS_PER_CHECK, items.length);
            for (const item of items.slice(index, until)) work(item);
            index = until;
          } while (index < items.length && now() < end);
        });
      }
    },
  };
}
