import type { Clock } from "../clock.ts";
import { messageOf, OperatorError, type ErrorCode } from "../errors.ts";
import type { Seen, Source, SourceState } from "./source.ts";

/** What the poller keeps of one source, and how a poll changes what is known of it. */
export interface PolledSource {
  readonly source: Source;
  state: SourceState;
  /** The interval of each subscriber, in milliseconds. */
  readonly subscribers: Map<string, number>;
  readonly stop: AbortController;
  /** Cancels the timer of the next poll. */
  cancelTimer: () => void;
  /** Whether a poll waits for its host: it must not wait there twice. */
  isQueued: boolean;
  /** When the poll in flight began. */
  startedAt: number | undefined;
  /** The poll in flight began too early for a caller of `pollSince`: the next one follows at once. */
  mustRepoll: boolean;
  /** Consecutive polls that failed. */
  failures: number;
}

export const UNKNOWN: SourceState = {
  value: undefined,
  changedAt: undefined,
  checkedAt: undefined,
  nextCheckAt: undefined,
  error: undefined,
};

export function createPolledSource(source: Source): PolledSource {
  return {
    source,
    state: UNKNOWN,
    subscribers: new Map(),
    stop: new AbortController(),
    cancelTimer: () => {},
    isQueued: false,
    startedAt: undefined,
    mustRepoll: false,
    failures: 0,
  };
}

const JITTER = 0.05;

/** The shortest interval of all subscribers; infinite without any. */
export function shortestInterval({ subscribers }: PolledSource): number {
  return Math.min(...subscribers.values());
}

/** The shortest interval, 5 % sooner or later. */
export function nextInterval(polled: PolledSource, clock: Clock): number {
  return shortestInterval(polled) * (1 - JITTER + 2 * JITTER * clock.random());
}

/** @param startedAt when the poll that found `value` began */
export function afterSuccess(
  before: SourceState,
  value: Seen,
  startedAt: number,
  now: number,
): SourceState {
  const changed = value.digest !== before.value?.digest;
  return {
    value,
    changedAt: changed ? now : before.changedAt,
    checkedAt: startedAt,
    nextCheckAt: undefined,
    error: undefined,
  };
}

/** Keeps what the last successful poll found. */
export function afterFailure(
  before: SourceState,
  error: unknown,
  kind: Source["kind"],
  now: number,
): SourceState {
  const code = codeOf(error, kind);
  const since = before.error?.code === code ? before.error.since : now;
  return { ...before, error: { code, message: messageOf(error), since } };
}

function codeOf(error: unknown, kind: Source["kind"]): ErrorCode {
  if (error instanceof OperatorError) return error.code;
  return kind === "image" ? "REGISTRY_UNAVAILABLE" : "STORAGE_UNAVAILABLE";
}

/** Whether subscribers are notified: a poll succeeded, or failed for another reason than the one before. */
export function isNews(before: SourceState, after: SourceState): boolean {
  return (
    after.checkedAt !== before.checkedAt ||
    after.error?.code !== before.error?.code ||
    after.error?.message !== before.error?.message
  );
}
