import { setImmediate as nextTurn } from "node:timers/promises";

import { currentAccount } from "./account.ts";
import type { Steps } from "../crds/grammar/steps.ts";

/**
 * Runs work on a long list in slices of a few milliseconds. The event loop has a turn of its own between any two slices,
 * namespaces take turns, and so do the lists of each: neither the list of a tenant nor many of them delay what else the
 * process does, or the list of another tenant.
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
  /** Slices by namespace, first in, first out. The first namespace is the next one to have its turn. */
  const waiting = new Map<string, (() => void)[]>();
  let isRunning = false;

  async function runAll(): Promise<void> {
    if (isRunning) return;
    isRunning = true;
    for (;;) {
      await nextTurn();
      const [next] = waiting;
      if (next === undefined) break;
      const [namespace, [slice, ...others]] = next;
      waiting.delete(namespace);
      if (others.length > 0) waiting.set(namespace, others);
      slice?.();
    }
    isRunning = false;
  }

  function runAlone<T>(slice: () => T): Promise<T> {
    const account = currentAccount();
    const namespace = account?.namespace ?? "";
    return new Promise((resolve, reject) => {
      const slices = waiting.get(namespace) ?? [];
      waiting.set(namespace, slices);
      slices.push(() => {
        const began = now();
        try {
          resolve(slice());
        } catch (error) {
          reject(error);
        } finally {
          account?.charge("cpuMs", now() - began);
        }
      });
      void runAll();
    });
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
