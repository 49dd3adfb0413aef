import PQueue from "p-queue";

import { withDeadline, type Clock } from "../clock.ts";
import type { Counts, Measurement } from "./strategies/measurement.ts";

/** A pod whose metrics are read. */
export interface MeasuredPod {
  readonly uid: string;
  readonly ip: string;
  readonly port: number;
}

/** Pods that are compared, for as long as the key is the same. */
export interface MeterRequest {
  readonly key: string;
  readonly stable: readonly MeasuredPod[];
  readonly candidate: readonly MeasuredPod[];
}

/** What a pod has counted since it started. */
export interface PodCounters {
  readonly requests: number;
  readonly errors: number;
  /** Cumulative, by upper bound in seconds, ascending; the last one is infinite. */
  readonly buckets: readonly (readonly [number, number])[];
}

export interface MeterParts {
  readonly clock: Clock;
  /** Reads the metrics of a pod; undefined when it has none. */
  readonly scrape: (pod: MeasuredPod, signal: AbortSignal) => Promise<PodCounters | undefined>;
  /** Something new was measured. */
  readonly onChange: (app: string) => void;
}

const EVERY_MS = 5000;
const SCRAPE_MS = 2000;
/** At once, over all apps. */
const CONCURRENCY = 20;
const NONE: PodCounters = { requests: 0, errors: 0, buckets: [] };

interface Followed {
  request: MeterRequest;
  readonly stop: AbortController;
  /** By pod: the first and the last counters since the key began. */
  readonly counters: Map<string, { readonly first: PodCounters; readonly last: PodCounters }>;
  since: number | undefined;
  until: number;
}

/**
 * Reads the metrics of the pods of canaries every few seconds, while they are followed. It holds what a restart may lose: a
 * step is measured again then.
 */
export class CanaryMeter {
  readonly #parts: MeterParts;
  readonly #queue = new PQueue({ concurrency: CONCURRENCY });
  readonly #apps = new Map<string, Followed>();

  constructor(parts: MeterParts) {
    this.#parts = parts;
  }

  of(app: string): Measurement | undefined {
    const followed = this.#apps.get(app);
    if (followed?.since === undefined) return undefined;
    const { request, since, until } = followed;
    return {
      key: request.key,
      since,
      until,
      stable: countsOf(followed, request.stable),
      candidate: countsOf(followed, request.candidate),
    };
  }

  /** Measures from now on; another key begins again, and `undefined` ends it. */
  follow(app: string, request: MeterRequest | undefined): void {
    const followed = this.#apps.get(app);
    if (followed !== undefined && followed.request.key === request?.key) {
      followed.request = request;
      return;
    }
    followed?.stop.abort();
    this.#apps.delete(app);
    if (request === undefined) return;
    const stop = new AbortController();
    const begun: Followed = { request, stop, counters: new Map(), since: undefined, until: 0 };
    this.#apps.set(app, begun);
    void this.#measure(app, begun);
  }

  close(): void {
    for (const { stop } of this.#apps.values()) stop.abort();
    this.#apps.clear();
  }

  async #measure(app: string, followed: Followed): Promise<void> {
    const { clock, onChange } = this.#parts;
    const { signal } = followed.stop;
    const { stable, candidate } = followed.request;
    await Promise.all(
      [...stable, ...candidate].map((pod) =>
        this.#queue.add(() => this.#read(pod, followed), { signal }).catch(() => {}),
      ),
    );
    if (signal.aborted) return;
    followed.until = clock.now();
    followed.since ??= followed.until;
    onChange(app);
    const cancel = clock.after(EVERY_MS, () => {
      signal.removeEventListener("abort", cancel);
      void this.#measure(app, followed);
    });
    signal.addEventListener("abort", cancel, { once: true });
  }

  /** A pod that does not respond has no metrics. */
  async #read(pod: MeasuredPod, { counters, stop }: Followed): Promise<void> {
    const { clock, scrape } = this.#parts;
    const last = await withDeadline(clock, SCRAPE_MS, stop.signal, (signal) => scrape(pod, signal));
    if (last === undefined) return;
    const { first = last, last: before = last } = counters.get(pod.uid) ?? {};
    // A container that has restarted counts from nothing.
    const hasRestarted = last.requests < before.requests;
    counters.set(pod.uid, { first: hasRestarted ? NONE : first, last });
  }
}

function countsOf({ counters }: Followed, pods: readonly MeasuredPod[]): Counts | undefined {
  const measured = pods.flatMap(({ uid }) => counters.get(uid) ?? []);
  if (measured.length === 0) return undefined;
  const sum = (of: (counters: PodCounters) => number): number =>
    measured.reduce((total, { first, last }) => total + of(last) - of(first), 0);
  const bounds = [...new Set(measured.flatMap(({ last }) => last.buckets.map(([le]) => le)))];
  const buckets = bounds
    .toSorted((a, b) => a - b)
    .map(
      (le) => [le, sum((one) => one.buckets.find(([bound]) => bound === le)?.[1] ?? 0)] as const,
    );
  return {
    requests: sum(({ requests }) => requests),
    errors: sum(({ errors }) => errors),
    p95Ms: quantile(0.95, buckets),
  };
}

/** As Prometheus' histogram_quantile: linear within a bucket. Milliseconds. */
export function quantile(
  q: number,
  buckets: readonly (readonly [number, number])[],
): number | undefined {
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total <= 0) return undefined;
  const rank = q * total;
  let [lower, below] = [0, 0];
  for (const [upper, count] of buckets) {
    if (count >= rank) {
      if (upper === Number.POSITIVE_INFINITY) return lower * 1000;
      const share = count === below ? 1 : (rank - below) / (count - below);
      return (lower + (upper - lower) * share) * 1000;
    }
    [lower, below] = [upper, count];
  }
  return lower * 1000;
}
