import PQueue from "p-queue";

import { backoff, type Clock } from "../clock.ts";
import { messageOf, OperatorError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Seen, Source, SourceState } from "./source.ts";

/**
 * One poll per distinct source, shared by all who want it. A poll that fails changes nothing but the error: what was
 * seen last stays. Memory only: after a restart everything is looked at again.
 */
export interface Poller {
  /** Replaces what a subscriber wants; the shortest interval of all subscribers counts. */
  readonly want: (subscriber: string, wishes: readonly Wish[]) => void;
  readonly get: <V extends Seen>(source: Source<V>) => SourceState<V>;
  /** Sees to it that a poll begins at or after `since`, and soon; while polls fail only if it is urgent. */
  readonly pollSince: (key: string, since: number, urgent?: boolean) => void;
  readonly close: () => Promise<void>;
}

export interface Wish {
  readonly source: Source;
  readonly intervalMs: number;
}

const UNKNOWN: SourceState = {
  value: undefined,
  changedAt: undefined,
  checkedAt: undefined,
  nextCheckAt: undefined,
  error: undefined,
};

/** The least that the CRD admits: an AIApp that slipped past it must not keep us busy. */
const MIN_INTERVAL_MS = 1000;
const PER_HOST = 4;
/** A poll is a few small requests: one that takes longer is lost. */
const POLL_TIMEOUT_MS = 20_000;
const JITTER = 0.05;
const MAX_BACKOFF_MS = 5 * 60_000;

interface Entry {
  source: Source;
  state: SourceState;
  readonly subscribers: Map<string, number>;
  readonly stop: AbortController;
  cancel: () => void;
  /** Waits for its host; it is not to wait there twice. */
  queued: boolean;
  /** When the poll under way began. */
  startedAt: number | undefined;
  /** A poll that begins at or after this is still owed. */
  owedSince: number | undefined;
  failures: number;
}

interface Host {
  readonly queue: PQueue;
  quietUntil: number;
}

export function createPoller({
  clock,
  log,
  metrics,
  onChange,
}: {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Told when something of a subscriber's sources is other than before, errors and times included. */
  readonly onChange: (subscriber: string) => void;
}): Poller {
  const entries = new Map<string, Entry>();
  const wants = new Map<string, ReadonlySet<string>>();
  const hosts = new Map<string, Host>();
  const closing = new AbortController();

  function hostOf(name: string): Host {
    let host = hosts.get(name);
    if (host === undefined) {
      host = { queue: new PQueue({ concurrency: PER_HOST }), quietUntil: 0 };
      hosts.set(name, host);
    }
    return host;
  }

  function schedule(entry: Entry, delayMs: number): void {
    entry.cancel();
    const quiet = Math.max(0, hostOf(entry.source.host).quietUntil - clock.now());
    const wait = Math.max(delayMs, quiet);
    entry.state = { ...entry.state, nextCheckAt: clock.now() + wait };
    entry.cancel = clock.after(wait, () => enqueue(entry));
  }

  function enqueue(entry: Entry): void {
    if (entry.stop.signal.aborted || entry.queued) return;
    entry.queued = true;
    hostOf(entry.source.host)
      .queue.add(() => poll(entry))
      .catch((error: unknown) => log.error({ error }, "a poll escaped its handling"));
  }

  async function poll(entry: Entry): Promise<void> {
    entry.queued = false;
    if (entry.stop.signal.aborted || entry.startedAt !== undefined) return;
    const { source } = entry;
    // The host may have asked for quiet while this poll waited.
    if (hostOf(source.host).quietUntil > clock.now()) {
      schedule(entry, 0);
      return;
    }
    const startedAt = clock.now();
    const before = entry.state;
    entry.startedAt = startedAt;
    let delayMs: number;
    try {
      const signal = AbortSignal.any([entry.stop.signal, AbortSignal.timeout(POLL_TIMEOUT_MS)]);
      const value = await source.poll(before.value, signal);
      if (entry.stop.signal.aborted) return;
      const changed = value.digest !== before.value?.digest;
      entry.state = {
        value,
        changedAt: changed ? clock.now() : before.changedAt,
        checkedAt: startedAt,
        nextCheckAt: undefined,
        error: undefined,
      };
      entry.failures = 0;
      delayMs = intervalOf(entry);
      metrics.polls.inc({ source: source.kind, result: changed ? "changed" : "unchanged" });
    } catch (error) {
      if (entry.stop.signal.aborted) return;
      delayMs = fail(entry, error);
    } finally {
      entry.startedAt = undefined;
    }
    const owed = entry.owedSince !== undefined && entry.owedSince > startedAt;
    entry.owedSince = owed ? entry.owedSince : undefined;
    schedule(entry, owed ? 0 : delayMs);
    tell(entry, before);
  }

  /** Keeps what was seen, notes the error, and says how long to wait. */
  function fail(entry: Entry, error: unknown): number {
    const { source, state } = entry;
    const code =
      error instanceof OperatorError
        ? error.code
        : source.kind === "image"
          ? "REGISTRY_UNAVAILABLE"
          : "STORAGE_UNAVAILABLE";
    const message = messageOf(error);
    const since = state.error?.code === code ? state.error.since : clock.now();
    entry.state = { ...state, error: { code, message, since } };
    metrics.polls.inc({ source: source.kind, result: "failed" });
    if (state.error?.code !== code)
      log.warn({ source: source.kind, host: source.host, error }, "a poll failed");
    const retryAfterMs = error instanceof OperatorError ? error.retryAfterMs : undefined;
    if (retryAfterMs !== undefined) {
      const host = hostOf(source.host);
      host.quietUntil = Math.max(host.quietUntil, clock.now() + retryAfterMs);
    }
    const base = intervalOf(entry);
    return Math.max(
      retryAfterMs ?? 0,
      backoff(entry.failures++, base, Math.max(base, MAX_BACKOFF_MS), clock.random),
    );
  }

  function intervalOf(entry: Entry): number {
    const interval = Math.min(...entry.subscribers.values());
    return interval * (1 - JITTER + 2 * JITTER * clock.random());
  }

  function tell(entry: Entry, before: SourceState): void {
    const { state } = entry;
    // An unchanged sight is news only to whom a check was owed; the times in status follow with the next reconcile.
    const news =
      state.value?.digest !== before.value?.digest ||
      state.error?.code !== before.error?.code ||
      state.error?.message !== before.error?.message ||
      (state.checkedAt !== before.checkedAt && entry.subscribers.size > 0);
    if (news) for (const subscriber of entry.subscribers.keys()) onChange(subscriber);
  }

  function subscribe(subscriber: string, { source, ...wish }: Wish): void {
    const intervalMs = Math.max(wish.intervalMs, MIN_INTERVAL_MS);
    let entry = entries.get(source.key);
    if (entry === undefined) {
      entry = {
        source,
        state: UNKNOWN,
        subscribers: new Map(),
        stop: new AbortController(),
        cancel: () => {},
        queued: false,
        startedAt: undefined,
        owedSince: undefined,
        failures: 0,
      };
      entries.set(source.key, entry);
    }
    const before =
      entry.subscribers.size === 0
        ? Number.POSITIVE_INFINITY
        : Math.min(...entry.subscribers.values());
    entry.subscribers.set(subscriber, intervalMs);
    if (before === Number.POSITIVE_INFINITY) schedule(entry, 0);
    else if (intervalMs < before && (entry.state.nextCheckAt ?? 0) > clock.now() + intervalMs)
      schedule(entry, intervalOf(entry));
  }

  function unsubscribe(subscriber: string, key: string): void {
    const entry = entries.get(key);
    entry?.subscribers.delete(subscriber);
    if (entry?.subscribers.size !== 0) return;
    entry.cancel();
    entry.stop.abort();
    entries.delete(key);
  }

  return {
    want: (subscriber, wishes) => {
      if (closing.signal.aborted) return;
      const keys = new Set(wishes.map(({ source }) => source.key));
      for (const key of wants.get(subscriber) ?? [])
        if (!keys.has(key)) unsubscribe(subscriber, key);
      for (const wish of wishes) subscribe(subscriber, wish);
      if (keys.size === 0) wants.delete(subscriber);
      else wants.set(subscriber, keys);
    },
    get: <V extends Seen>(source: Source<V>) =>
      // The key names the kind of source, and with it the type of what it sees.
      (entries.get(source.key)?.state ?? UNKNOWN) as SourceState<V>,
    pollSince: (key, since, urgent = false) => {
      const entry = entries.get(key);
      if (entry === undefined || (entry.state.checkedAt ?? -1) >= since) return;
      if (entry.startedAt !== undefined) {
        if (entry.startedAt < since) entry.owedSince = since;
        return;
      }
      // While polls fail, back-off goes before impatience, unless a person asks; Retry-After always does.
      if (entry.state.error === undefined || urgent) schedule(entry, 0);
    },
    close: async () => {
      closing.abort();
      for (const entry of entries.values()) {
        entry.cancel();
        entry.stop.abort();
      }
      entries.clear();
      wants.clear();
      await Promise.all([...hosts.values()].map(({ queue }) => queue.onIdle()));
    },
  };
}
