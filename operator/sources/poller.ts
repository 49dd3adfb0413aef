import { MIN_INTERVAL_MS } from "../../crds/grammar/duration.ts";
import { backoff, withDeadline, type Clock } from "../clock.ts";
import { onAccount } from "../account.ts";
import { messageOf, OperatorError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import {
  createNamespaceBudgets,
  noLimits,
  type NamespaceBudgets,
  type NamespaceLimits,
} from "./namespace-budgets.ts";
import { PollQueue } from "./poll-queue.ts";
import {
  afterFailure,
  afterSuccess,
  createPolledSource,
  isOtherError,
  isOtherValue,
  isRegistry,
  nextInterval,
  shortestInterval,
  UNKNOWN,
  type PolledSource,
} from "./polled-source.ts";
import { setSourceGauges } from "./source-gauges.ts";
import type { Seen, Source, SourceState } from "./source.ts";
import { createThrottles, MAX_PAUSE_MS, type Throttles } from "./throttles.ts";

/**
 * Polls each distinct source once for all its subscribers. A poll that fails changes only the error: the result of the
 * last successful poll stays. Results are kept in memory: after a restart every source is polled again.
 */
export interface Poller {
  /** Replaces a subscriber's subscriptions. A source is polled at the shortest interval of its subscribers. */
  readonly subscribe: (subscriber: string, subscriptions: readonly Subscription[]) => void;
  readonly get: <V extends Seen>(source: Source<V>) => SourceState<V>;
  /**
   * Polls a source soon, unless a poll began at or after `since`; notifies its subscribers once one has succeeded. While
   * polls fail it waits for the back-off, unless urgent.
   */
  readonly pollSince: (key: string, since: number, urgent?: boolean) => void;
  /** Aborts all polls and waits for them. */
  readonly close: () => Promise<void>;
}

export interface Subscription {
  readonly source: Source;
  readonly intervalMs: number;
  /** The first poll of the source is made at a random time within this; at once unless given. */
  readonly firstWithinMs?: number;
}

export interface PollerParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /**
   * Called for each subscriber of a source when a poll found something new, when one for which `pollSince` asked has
   * succeeded, or when the error is another one.
   *
   * @param isNew false when only the error is another one: no release can follow from that
   */
  readonly onChange: (subscriber: string, isNew: boolean) => void;
  /** What the polls of a namespace may take; no limits when not given. */
  readonly limits?: NamespaceLimits;
}

/** A poll is a few small requests. */
const POLL_TIMEOUT_MS = 20_000;
const MAX_BACKOFF_MS = 5 * 60_000;
/** How long after a poll was refused its source still counts as one that is polled less often than it should be. */
const LIMITED_MS = 5 * 60_000;
/** When a poll that was refused is tried again, half to one and a half times: a source costs little meanwhile. */
const REFUSED_MS = 60_000;

export function createPoller(parts: PollerParts): Poller {
  return new SharedPoller(parts);
}

class SharedPoller implements Poller {
  readonly #parts: PollerParts;
  readonly #queue = new PollQueue();
  readonly #throttles: Throttles;
  readonly #budgets: NamespaceBudgets;
  readonly #unobserve: () => void;
  /** By the source's key. */
  readonly #polled = new Map<string, PolledSource>();
  /** Keys of the sources of each subscriber. */
  readonly #subscriptions = new Map<string, ReadonlySet<string>>();
  #isClosed = false;

  constructor(parts: PollerParts) {
    this.#parts = parts;
    this.#throttles = createThrottles(parts.clock);
    this.#budgets = createNamespaceBudgets(parts.limits ?? noLimits, parts.clock);
    this.#unobserve = parts.metrics.observe(() =>
      setSourceGauges(parts.metrics, this.#polled.values()),
    );
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
    if (polled === undefined) return;
    if ((polled.state.checkedAt ?? -1) >= since) {
      // It ended after the caller had read the state, when nothing was known to wait for it.
      this.#notify(polled, true);
      return;
    }
    polled.awaitedSince = Math.max(polled.awaitedSince ?? 0, since);
    if (polled.startedAt !== undefined) {
      polled.mustRepoll ||= polled.startedAt < since;
      return;
    }
    // While polls fail, only a person's request ends the back-off; nothing ends a pause that the host asked for.
    if (polled.state.error === undefined || urgent) this.#schedule(polled, 0);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unobserve();
    for (const polled of this.#polled.values()) stop(polled);
    this.#polled.clear();
    this.#subscriptions.clear();
    await this.#queue.onIdle();
  }

  #add(subscriber: string, { source, intervalMs, firstWithinMs = 0 }: Subscription): void {
    const { clock } = this.#parts;
    const polled = this.#polled.get(source.key) ?? createPolledSource(source);
    const interval = Math.max(intervalMs, MIN_INTERVAL_MS);
    // As it is with each reconcile of an app at rest. What follows looks at all subscribers, of which there may be thousands.
    if (polled.subscribers.get(subscriber) === interval) return;
    this.#polled.set(source.key, polled);
    const isNew = polled.subscribers.size === 0;
    const before = shortestInterval(polled);
    const namespace = namespaceIn(subscriber);
    const isJoining = polled.isQueued && !namespacesOf(polled).has(namespace);
    polled.subscribers.set(subscriber, interval);
    // It waits among the polls of another namespace: whichever has its turn first begins it.
    if (isJoining) this.#addToQueue(polled, namespace);
    if (isNew) this.#schedule(polled, firstWithinMs * clock.random());
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
    const wait = Math.max(delayMs, this.#pauseOf(polled));
    polled.state = { ...polled.state, nextCheckAt: clock.now() + wait };
    polled.cancelTimer = clock.after(wait, () => this.#enqueue(polled));
  }

  #enqueue(polled: PolledSource): void {
    if (polled.stop.signal.aborted || polled.isQueued) return;
    polled.isQueued = true;
    this.#addToQueue(polled, this.#namespaceOf(polled));
  }

  #addToQueue(polled: PolledSource, namespace: string): void {
    const run = (): Promise<void> =>
      this.#poll(polled, namespace).catch((error: unknown) =>
        this.#parts.log.error({ error }, "unhandled error of a poll"),
      );
    this.#queue.add({ host: polled.source.host, namespace, run });
  }

  /** The namespace that a poll counts for: of its subscribers' that may poll, the one with the fewest polls. */
  #namespaceOf(polled: PolledSource): string {
    let namespace = "";
    let least = Number.POSITIVE_INFINITY;
    const all = [...namespacesOf(polled)];
    const within = all.filter((candidate) => this.#budgets.excessOf(candidate) === undefined);
    for (const candidate of within.length > 0 ? within : all) {
      const load = this.#queue.loadOf(candidate);
      if (load < least) [namespace, least] = [candidate, load];
    }
    return namespace;
  }

  #pauseOf({ source: { host, login } }: PolledSource): number {
    return this.#throttles.pauseOf(host, login);
  }

  async #poll(polled: PolledSource, namespace: string): Promise<void> {
    if (!polled.isQueued) return;
    polled.isQueued = false;
    if (polled.stop.signal.aborted || polled.startedAt !== undefined) return;
    const excess = this.#budgets.excessOf(namespace);
    if (excess !== undefined) {
      this.#refuse(polled, excess);
      return;
    }
    // The host may have asked for a pause while this poll was queued.
    if (this.#pauseOf(polled) > 0) {
      this.#schedule(polled, 0);
      return;
    }
    const startedAt = this.#parts.clock.now();
    const before = polled.state;
    polled.startedAt = startedAt;
    const account = this.#budgets.accountOf(namespace);
    account.charge("polls", 1);
    const delayMs = await onAccount(account, () => this.#read(polled, startedAt));
    polled.startedAt = undefined;
    if (delayMs === undefined) return;
    this.#schedule(polled, polled.mustRepoll ? 0 : delayMs);
    polled.mustRepoll = false;
    this.#notifyOfChange(polled, before);
  }

  /** The namespace whose turn it was may not poll: another one that names the source may. */
  #refuse(polled: PolledSource, excess: string): void {
    const { clock, metrics } = this.#parts;
    const { kind } = polled.source;
    if (this.#budgets.excessOf(this.#namespaceOf(polled)) === undefined) {
      this.#enqueue(polled);
      return;
    }
    const before = polled.state;
    const now = clock.now();
    polled.limitedUntil = now + Math.max(LIMITED_MS, 2 * shortestInterval(polled));
    polled.state = afterFailure(before, new OperatorError("NAMESPACE_LIMIT", excess), kind, now);
    metrics.polls.inc({ source: kind, result: "refused" });
    this.#schedule(polled, REFUSED_MS * (0.5 + clock.random()));
    if (isOtherError(before, polled.state)) this.#notify(polled, false);
  }

  /** Reads the source and updates its state. Returns the delay until the next poll; undefined once it was stopped. */
  async #read(polled: PolledSource, startedAt: number): Promise<number | undefined> {
    const { source, state: before } = polled;
    const { signal: stopped } = polled.stop;
    let isLate = false;
    try {
      const value = await withDeadline(this.#parts.clock, POLL_TIMEOUT_MS, stopped, (signal) => {
        signal.addEventListener("abort", () => (isLate = !stopped.aborted), { once: true });
        return source.poll(before.value, signal);
      });
      return stopped.aborted ? undefined : this.#succeed(polled, value, startedAt);
    } catch (error) {
      if (stopped.aborted) return undefined;
      return this.#fail(polled, isLate ? lateError(source, error) : error);
    }
  }

  #succeed(polled: PolledSource, value: Seen, startedAt: number): number {
    const { clock, metrics } = this.#parts;
    const before = polled.state;
    polled.state = afterSuccess(before, value, startedAt, clock.now());
    // Else the error would come and go with each poll, and be written to every status each time.
    if (before.error?.code === "NAMESPACE_LIMIT" && polled.limitedUntil > clock.now())
      polled.state = { ...polled.state, error: before.error };
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
      log.warn(
        { source: source.kind, host: source.host, error, cause: causeOf(error) },
        "poll failed",
      );
    const wanted = error instanceof OperatorError ? (error.retryAfterMs ?? 0) : 0;
    const retryAfterMs = Math.min(wanted, MAX_PAUSE_MS);
    this.#throttles.throttle(source.host, source.login, retryAfterMs);
    const base = nextInterval(polled, clock);
    const max = Math.max(base, MAX_BACKOFF_MS);
    return Math.max(retryAfterMs, backoff(polled.failures++, base, max, clock.random));
  }

  #notifyOfChange(polled: PolledSource, before: SourceState): void {
    const { state, awaitedSince } = polled;
    const isAwaited = awaitedSince !== undefined && (state.checkedAt ?? -1) >= awaitedSince;
    if (isAwaited) polled.awaitedSince = undefined;
    const isNew = isAwaited || isOtherValue(before, state);
    if (isNew || isOtherError(before, state)) this.#notify(polled, isNew);
  }

  #notify({ subscribers }: PolledSource, isNew: boolean): void {
    for (const subscriber of subscribers.keys()) this.#parts.onChange(subscriber, isNew);
  }
}

/** What a condition does not say, for the log; without the query of a URL, which may be a SAS token. */
function causeOf(error: unknown): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? undefined : messageOf(cause).replace(/\?\S*/g, "").slice(0, 1000);
}

/** The operator's own limit: what the SDK says of an aborted request names no cause. */
function lateError({ kind, host }: Source, cause: unknown): OperatorError {
  return new OperatorError(
    isRegistry(kind) ? "REGISTRY_UNAVAILABLE" : "STORAGE_UNAVAILABLE",
    `a poll of ${host} took longer than the ${POLL_TIMEOUT_MS / 1000} s that it may take: check the network and the load of the host; retrying`,
    { cause },
  );
}

function stop(polled: PolledSource): void {
  polled.cancelTimer();
  polled.stop.abort();
}

function namespacesOf({ subscribers }: PolledSource): ReadonlySet<string> {
  return new Set([...subscribers.keys()].map(namespaceIn));
}

/** Subscribers are `<namespace>/<name>`. */
function namespaceIn(subscriber: string): string {
  return subscriber.split("/", 1)[0] ?? "";
}
