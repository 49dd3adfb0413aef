import { MIN_INTERVAL_MS } from "../../crds/grammar/duration.ts";
import { backoff, type Clock } from "../clock.ts";
import { OperatorError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { createHostLimiter } from "./host-limiter.ts";
import {
  afterFailure,
  afterSuccess,
  createPolledSource,
  isNews,
  nextInterval,
  shortestInterval,
  UNKNOWN,
  type PolledSource,
} from "./polled-source.ts";
import type { Seen, Source, SourceState } from "./source.ts";

/**
 * Polls each distinct source once for all its subscribers. A poll that fails changes only the error: the result of the
 * last successful poll stays. Results are kept in memory: after a restart every source is polled again.
 */
export interface Poller {
  /** Replaces a subscriber's subscriptions. A source is polled at the shortest interval of its subscribers. */
  readonly subscribe: (subscriber: string, subscriptions: readonly Subscription[]) => void;
  readonly get: <V extends Seen>(source: Source<V>) => SourceState<V>;
  /** Polls a source soon, unless a poll began at or after `since`. While polls fail it waits for the back-off, unless urgent. */
  readonly pollSince: (key: string, since: number, urgent?: boolean) => void;
  /** Aborts all polls and waits for them. */
  readonly close: () => Promise<void>;
}

export interface Subscription {
  readonly source: Source;
  readonly intervalMs: number;
}

export interface PollerParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Called for each subscriber of a source when a poll succeeded, or failed for a new reason. */
  readonly onChange: (subscriber: string) => void;
}

/** A poll is a few small requests. */
const POLL_TIMEOUT_MS = 20_000;
const MAX_BACKOFF_MS = 5 * 60_000;

export function createPoller(parts: PollerParts): Poller {
  return new SharedPoller(parts);
}

class SharedPoller implements Poller {
  readonly #parts: PollerParts;
  readonly #limiter: ReturnType<typeof createHostLimiter>;
  /** By the source's key. */
  readonly #polled = new Map<string, PolledSource>();
  /** Keys of the sources of each subscriber. */
  readonly #subscriptions = new Map<string, ReadonlySet<string>>();
  #isClosed = false;

  constructor(parts: PollerParts) {
    this.#parts = parts;
    this.#limiter = createHostLimiter(parts.clock);
  }

  subscribe(subscriber: string, subscriptions: readonly Subscription[]): void {
    if (this.#isClosed) return;
    const keys = new Set(subscriptions.map(({ source }) => source.key));
    for (const key of this.#subscriptions.get(subscriber) ?? []) {
      if (!keys.has(key)) this.#remove(subscriber, key);
    }
    for (const subscription of subscriptions) this.#add(subscriber, subscription);
    if (keys.size === 0) this.#subscriptions.delete(subscriber);
    else this.#subscriptions.set(subscriber, keys);
  }

  get<V extends Seen>(source: Source<V>): SourceState<V> {
    // The key names the kind of the source, and with it the type of its results.
    return (this.#polled.get(source.key)?.state ?? UNKNOWN) as SourceState<V>;
  }

  pollSince(key: string, since: number, urgent = false): void {
    const polled = this.#polled.get(key);
    if (polled === undefined || (polled.state.checkedAt ?? -1) >= since) return;
    if (polled.startedAt !== undefined) {
      polled.mustRepoll ||= polled.startedAt < since;
      return;
    }
    // While polls fail, only a person's request ends the back-off; nothing ends a pause that the host asked for.
    if (polled.state.error === undefined || urgent) this.#schedule(polled, 0);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const polled of this.#polled.values()) stop(polled);
    this.#polled.clear();
    this.#subscriptions.clear();
    await this.#limiter.onIdle();
  }

  #add(subscriber: string, { source, intervalMs }: Subscription): void {
    const { clock } = this.#parts;
    const polled = this.#polled.get(source.key) ?? createPolledSource(source);
    this.#polled.set(source.key, polled);
    const isNew = polled.subscribers.size === 0;
    const before = shortestInterval(polled);
    const interval = Math.max(intervalMs, MIN_INTERVAL_MS);
    polled.subscribers.set(subscriber, interval);
    if (isNew) this.#schedule(polled, 0);
    else if (interval < before && (polled.state.nextCheckAt ?? 0) > clock.now() + interval)
      this.#schedule(polled, nextInterval(polled, clock));
  }

  #remove(subscriber: string, key: string): void {
    const polled = this.#polled.get(key);
    polled?.subscribers.delete(subscriber);
    if (polled?.subscribers.size !== 0) return;
    stop(polled);
    this.#polled.delete(key);
  }

  /** Replaces the timer of the next poll. */
  #schedule(polled: PolledSource, delayMs: number): void {
    const { clock } = this.#parts;
    polled.cancelTimer();
    const wait = Math.max(delayMs, this.#limiter.pauseOf(polled.source.host));
    polled.state = { ...polled.state, nextCheckAt: clock.now() + wait };
    polled.cancelTimer = clock.after(wait, () => this.#enqueue(polled));
  }

  #enqueue(polled: PolledSource): void {
    if (polled.stop.signal.aborted || polled.isQueued) return;
    polled.isQueued = true;
    this.#limiter
      .run(polled.source.host, () => this.#poll(polled))
      .catch((error: unknown) => this.#parts.log.error({ error }, "unhandled error of a poll"));
  }

  async #poll(polled: PolledSource): Promise<void> {
    polled.isQueued = false;
    if (polled.stop.signal.aborted || polled.startedAt !== undefined) return;
    // The host may have asked for a pause while this poll was queued.
    if (this.#limiter.pauseOf(polled.source.host) > 0) {
      this.#schedule(polled, 0);
      return;
    }
    const startedAt = this.#parts.clock.now();
    const before = polled.state;
    polled.startedAt = startedAt;
    const delayMs = await this.#read(polled, startedAt);
    polled.startedAt = undefined;
    if (delayMs === undefined) return;
    this.#schedule(polled, polled.mustRepoll ? 0 : delayMs);
    polled.mustRepoll = false;
    this.#notify(polled, before);
  }

  /** Reads the source and updates its state. Returns the delay until the next poll; undefined once it was stopped. */
  async #read(polled: PolledSource, startedAt: number): Promise<number | undefined> {
    const { source, state: before } = polled;
    try {
      const signal = AbortSignal.any([polled.stop.signal, AbortSignal.timeout(POLL_TIMEOUT_MS)]);
      const value = await source.poll(before.value, signal);
      return polled.stop.signal.aborted ? undefined : this.#succeed(polled, value, startedAt);
    } catch (error) {
      return polled.stop.signal.aborted ? undefined : this.#fail(polled, error);
    }
  }

  #succeed(polled: PolledSource, value: Seen, startedAt: number): number {
    const { clock, metrics } = this.#parts;
    const before = polled.state;
    polled.state = afterSuccess(before, value, startedAt, clock.now());
    polled.failures = 0;
    const result = value.digest === before.value?.digest ? "unchanged" : "changed";
    metrics.polls.inc({ source: polled.source.kind, result });
    return nextInterval(polled, clock);
  }

  #fail(polled: PolledSource, error: unknown): number {
    const { clock, log, metrics } = this.#parts;
    const { source, state: before } = polled;
    polled.state = afterFailure(before, error, source.kind, clock.now());
    metrics.polls.inc({ source: source.kind, result: "failed" });
    if (polled.state.error?.code !== before.error?.code)
      log.warn({ source: source.kind, host: source.host, error }, "poll failed");
    const retryAfterMs = error instanceof OperatorError ? (error.retryAfterMs ?? 0) : 0;
    this.#limiter.throttle(source.host, retryAfterMs);
    const base = nextInterval(polled, clock);
    const max = Math.max(base, MAX_BACKOFF_MS);
    return Math.max(retryAfterMs, backoff(polled.failures++, base, max, clock.random));
  }

  #notify(polled: PolledSource, before: SourceState): void {
    if (!isNews(before, polled.state)) return;
    for (const subscriber of polled.subscribers.keys()) this.#parts.onChange(subscriber);
  }
}

function stop(polled: PolledSource): void {
  polled.cancelTimer();
  polled.stop.abort();
}
