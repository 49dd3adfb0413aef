import { isDeepStrictEqual } from "node:util";

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
  /** Whether a poll waits for its turn: it must begin once only. */
  isQueued: boolean;
  /** When the poll in flight began. */
  startedAt: number | undefined;
  /** The poll in flight began too early for a caller of `pollSince`: the next one follows at once. */
  mustRepoll: boolean;
  /** The latest time since which a caller of `pollSince` waits for a poll that succeeds. */
  awaitedSince: number | undefined;
  /** Until then it counts as one that a limit of its namespaces lets be polled less often. */
  limitedUntil: number;
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
    awaitedSince: undefined,
    limitedUntil: 0,
    failures: 0,
  };
}

const JITTER = 0.05;

/** The shortest interval of all subscribers; infinite without any. */
export function shortestInterval({ subscribers }: PolledSource): number {
  let shortest = Number.POSITIVE_INFINITY;
  for (const interval of subscribers.values()) shortest = Math.min(shortest, interval);
  return shortest;
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
  return isRegistry(kind) ? "REGISTRY_UNAVAILABLE" : "STORAGE_UNAVAILABLE";
}

export function isRegistry(kind: Source["kind"]): boolean {
  return kind === "image" || kind === "imageKeeper";
}

/** Whether a poll found another result; an ETag or a push that changed nothing of it is none. */
export function isOtherValue(before: SourceState, after: SourceState): boolean {
  return (
    before.value !== after.value && !isDeepStrictEqual(shown(before.value), shown(after.value))
  );
}

function shown(value: Seen | undefined): unknown {
  return value && { ...value, etag: undefined, lastPush: undefined };
}

export function isOtherError(before: SourceState, after: SourceState): boolean {
  return after.error?.code !== before.error?.code || after.error?.message !== before.error?.message;
}
