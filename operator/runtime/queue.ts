import { backoff, type Clock } from "../clock.ts";
import type { Metrics } from "../metrics.ts";

/**
 * A keyed queue: a key waits at most once, is worked on by one worker at a time, and a key added meanwhile is worked on
 * again after. Failures come back with back-off. Work on a key answers every wish for it that was made before the work
 * began, so that it is bounded by the number of distinct keys.
 */
export interface Queue {
  /** Work on the key as soon as a worker is free. */
  readonly add: (key: string) => void;
  /** Work on the key in a while; of several wishes for one key the earliest counts. */
  readonly addAfter: (key: string, ms: number) => void;
  /** Take no more work; resolves when the work under way is done. */
  readonly close: () => Promise<void>;
}

/** How the work on a key ended: come back later, or only when something happens. */
export type Outcome =
  | { readonly kind: "done" }
  | { readonly kind: "requeue"; readonly afterMs: number };

export interface QueueOptions {
  readonly name: string;
  readonly workers: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly work: (key: string) => Promise<Outcome>;
  /** Told of each failure; says whether the key comes back, and how soon at the earliest. */
  readonly onError: (
    key: string,
    error: unknown,
  ) => { readonly retry: boolean; readonly minimumMs?: number };
}

export const BACKOFF = { baseMs: 750, maxMs: 15 * 60_000 } as const;

export function createQueue({ name, workers, clock, metrics, work, onError }: QueueOptions): Queue {
  /** Keys that wait, with the time at which they came; Map keeps their order. */
  const waiting = new Map<string, number>();
  /** Keys that are worked on, with the time at which that began. */
  const active = new Map<string, number>();
  const again = new Set<string>();
  const timers = new Map<string, { readonly at: number; readonly cancel: () => void }>();
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
  });

  function add(key: string): void {
    if (closed) return;
    clearTimer(key);
    metrics.queueAdds.inc({ name });
    if (active.has(key)) {
      again.add(key);
      return;
    }
    if (!waiting.has(key)) waiting.set(key, clock.now());
    pump();
  }

  function addAfter(key: string, ms: number): void {
    if (closed || waiting.has(key) || again.has(key)) return;
    const at = clock.now() + ms;
    const present = timers.get(key);
    if (present !== undefined && present.at <= at) return;
    clearTimer(key);
    timers.set(key, { at, cancel: clock.after(ms, () => add(key)) });
  }

  function clearTimer(key: string): void {
    timers.get(key)?.cancel();
    timers.delete(key);
  }

  function pump(): void {
    for (const [key, since] of waiting) {
      if (closed || active.size >= workers) break;
      waiting.delete(key);
      active.set(key, clock.now());
      metrics.queueWaitSeconds.observe({ name }, (clock.now() - since) / 1000);
      void run(key);
    }
    metrics.queueDepth.set({ name }, waiting.size);
    if (closed && active.size === 0) for (const resolve of closers.splice(0)) resolve();
  }

  async function run(key: string): Promise<void> {
    const began = clock.now();
    try {
      const outcome = await work(key);
      failures.delete(key);
      if (outcome.kind === "requeue") addAfter(key, outcome.afterMs);
    } catch (error) {
      const { retry, minimumMs = 0 } = onError(key, error);
      if (retry) {
        const count = failures.get(key) ?? 0;
        failures.set(key, count + 1);
        metrics.queueRetries.inc({ name });
        addAfter(
          key,
          Math.max(minimumMs, backoff(count, BACKOFF.baseMs, BACKOFF.maxMs, clock.random)),
        );
      } else {
        failures.delete(key);
      }
    } finally {
      metrics.queueWorkSeconds.observe({ name }, (clock.now() - began) / 1000);
      active.delete(key);
      if (again.delete(key) && !closed) waiting.set(key, clock.now());
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
      waiting.clear();
      again.clear();
      return new Promise<void>((resolve) => {
        closers.push(resolve);
        pump();
      }).then(unobserve);
    },
  };
}
