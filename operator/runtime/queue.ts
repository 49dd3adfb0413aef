import { backoff, type Clock } from "../clock.ts";
import type { Metrics } from "../metrics.ts";
import { higher, PendingKeys, type Priority } from "./pending.ts";

/**
 * A keyed work queue: a key waits at most once, is worked on by one worker at a time, and a key added meanwhile is worked
 * on again after. Failures come back with back-off. Work on a key covers every add that was made before the work began,
 * so that the queue is bounded by the number of distinct keys.
 */
export interface Queue {
  /** Work on the key as soon as a worker is free. A key that waits is raised to a higher priority, never lowered. */
  readonly add: (key: string, priority: Priority) => void;
  /** Add the key after `ms`; of several times for one key the earliest counts. */
  readonly addAfter: (key: string, ms: number, priority: Priority) => void;
  /** Take no more work; resolves when the work in flight is done. */
  readonly close: () => Promise<void>;
}

/** Starts a queue whose keys are worked on so, until the signal is aborted. */
export type StartQueue = (work: (key: string, signal: AbortSignal) => Promise<Outcome>) => Queue;

/** How the work on a key ended: come back later, or only when something happens. */
export type Outcome =
  | { readonly kind: "done" }
  | {
      readonly kind: "requeue";
      readonly afterMs: number;
      /** `background` when not given: a periodic resync. */
      readonly priority?: Priority;
    };

export interface QueueOptions {
  readonly name: string;
  readonly workers: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly work: (key: string) => Promise<Outcome>;
  /** Called on each failure; returns whether the key comes back, and how soon at the earliest. */
  readonly onError: (
    key: string,
    error: unknown,
  ) => { readonly retry: boolean; readonly minimumMs?: number };
}

export const BACKOFF = { baseMs: 750, maxMs: 15 * 60_000 } as const;

interface Timer {
  readonly at: number;
  readonly cancel: () => void;
}

export function createQueue({ name, workers, clock, metrics, work, onError }: QueueOptions): Queue {
  const pending = new PendingKeys();
  /** Keys that are worked on, with the time at which that began. */
  const active = new Map<string, number>();
  /** Keys that were added while they are worked on. */
  const again = new Map<string, Priority>();
  const timers = new Map<string, Timer>();
  const failures = new Map<string, number>();
  const closers: (() => void)[] = [];
  let closed = false;

  const unobserve = metrics.observe(() => {
    const running = [...active.values()].map((began) => (clock.now() - began) / 1000);
    metrics.queueUnfinishedSeconds.set(
      { name },
      running.reduce((sum, seconds) => sum + seconds, 0),
    );
    metrics.queueLongestSeconds.set({ name }, Math.max(0, ...running));
    for (const [priority, { size, oldest = clock.now() }] of pending.summarize()) {
      metrics.queuePending.set({ name, priority }, size);
      metrics.queueOldestSeconds.set({ name, priority }, (clock.now() - oldest) / 1000);
    }
  });

  function add(key: string, priority: Priority): void {
    if (closed) return;
    clearTimer(key);
    metrics.queueAdds.inc({ name });
    if (active.has(key)) {
      again.set(key, higher(again.get(key) ?? priority, priority));
      return;
    }
    pending.add(key, priority, clock.now());
    pump();
  }

  function addAfter(key: string, ms: number, priority: Priority): void {
    if (closed || pending.has(key) || again.has(key)) return;
    const at = clock.now() + ms;
    const present = timers.get(key);
    if (present !== undefined && present.at <= at) return;
    clearTimer(key);
    timers.set(key, { at, cancel: clock.after(ms, () => add(key, priority)) });
  }

  function clearTimer(key: string): void {
    timers.get(key)?.cancel();
    timers.delete(key);
  }

  function pump(): void {
    while (active.size < workers) {
      const next = closed ? undefined : pending.take();
      if (next === undefined) break;
      const { key, since } = next;
      active.set(key, clock.now());
      metrics.queueWaitSeconds.observe({ name }, (clock.now() - since) / 1000);
      void run(key);
    }
    metrics.queueDepth.set({ name }, pending.size);
    if (closed && active.size === 0) for (const resolve of closers.splice(0)) resolve();
  }

  async function run(key: string): Promise<void> {
    const began = clock.now();
    try {
      const outcome = await work(key);
      failures.delete(key);
      if (outcome.kind === "requeue") {
        addAfter(key, outcome.afterMs, outcome.priority ?? "background");
      }
    } catch (error) {
      const { retry, minimumMs = 0 } = onError(key, error);
      if (retry) {
        const count = failures.get(key) ?? 0;
        failures.set(key, count + 1);
        metrics.queueRetries.inc({ name });
        addAfter(
          key,
          Math.max(minimumMs, backoff(count, BACKOFF.baseMs, BACKOFF.maxMs, clock.random)),
          "retry",
        );
      } else {
        failures.delete(key);
      }
    } finally {
      metrics.queueWorkSeconds.observe({ name }, (clock.now() - began) / 1000);
      active.delete(key);
      const priority = again.get(key);
      again.delete(key);
      if (priority !== undefined && !closed) pending.add(key, priority, clock.now());
      pump();
    }
  }

  return {
    add,
    addAfter,
    close: () => {
      closed = true;
      for (const { cancel } of timers.values()) cancel();
      timers.clear();
      pending.clear();
      again.clear();
      return new Promise<void>((resolve) => {
        closers.push(resolve);
        pump();
      }).then(unobserve);
    },
  };
}
