import type { AIAppStatus } from "../../crds/aiapp/status.ts";
import { milliseconds } from "../../crds/grammar/duration.ts";
import type { Delivery } from "../notify/delivery.ts";
import type { EventNote } from "../runtime/recorder.ts";
import type { Action } from "./action.ts";
import type { MeasuredPod, MeterRequest } from "./canary-meter.ts";
import { droppedEvent, eventsOf } from "./events.ts";
import { readIntents, type Intents } from "./intents.ts";
import type { Observed } from "./observed.ts";
import { makeLedger, phaseOf } from "./release/ledger.ts";
import { timingOf } from "./release/timing.ts";
import type { SetName } from "./resources/owner.ts";
import { metricsPort, type PullerSettings } from "./resources/template.ts";
import { buildStatus } from "./status.ts";
import { readAutoscaler } from "./steps/autoscaler.ts";
import { findConflict } from "./steps/conflict.ts";
import { diagnose, isOf } from "./steps/diagnose.ts";
import { dueNotices, type DroppedNotice } from "./steps/notices.ts";
import { findOverridden } from "./steps/overridden.ts";
import { findPair } from "./steps/pair.ts";
import { advanceReleases, unchanged, type PhaseChange } from "./steps/releases.ts";
import type { Situation } from "./steps/situation.ts";
import { givesPlaceTo, targetOf, verificationOf } from "./steps/target.ts";
import { readVerification } from "./steps/verification.ts";
import { decideWanted } from "./steps/wanted.ts";
import { applyOwned, applySuspended, findUnmanaged, type Workloads } from "./steps/workloads.ts";
import { arrange, judge, readRollout } from "./strategies/arrange.ts";
import { readSets } from "./strategies/sets.ts";
import type { Arrangement } from "./strategies/strategy.ts";

export interface Plan {
  readonly actions: readonly Action[];
  readonly status: AIAppStatus;
  /** False while the first polls are under way: the status is about to change, and is not worth a write. */
  readonly isStatusDue: boolean;
  readonly changes: readonly PhaseChange[];
  readonly events: readonly EventNote[];
  /** What is to be sent once the actions are done: the journals name it then. */
  readonly deliveries: readonly Delivery[];
  readonly dropped: readonly DroppedNotice[];
  /** When to reconcile again, if nothing happens. Milliseconds. */
  readonly requeueAfterMs: number;
  /** Something may be due then: a window opens, a release has settled. */
  readonly isWakeUp: boolean;
  /** Whose metrics are to be compared from now on. */
  readonly measures: MeterRequest | undefined;
}

/** Reconciled even when nothing happens, in case that a watch has lost an event. */
const RESYNC_MS = 10 * 60_000;

/**
 * Decides, from the world as it was read and the time, everything to do about one AIApp. Pure: this list is the table
 * of contents of the operator.
 */
export function plan(observed: Observed, puller: PullerSettings, now: number): Plan {
  return decide(observed, puller, now, true);
}

/** What would be reported if nothing could be written: for when the API server has rejected what was planned. */
export function planNothing(observed: Observed, puller: PullerSettings, now: number): Plan {
  return decide(observed, puller, now, false);
}

function decide(observed: Observed, puller: PullerSettings, now: number, mayAct: boolean): Plan {
  const { app } = observed;
  const intents = readIntents(app);
  const before = makeLedger(observed.records);
  const conflict = findConflict(observed, before);
  const pair = findPair(observed);
  const wanted = decideWanted(observed, pair.pair, before, puller);
  const sets = readSets(observed);
  const { measured } = observed;
  const seen = { spec: app.spec, sets, ledger: before, measured, now };
  const rollout = readRollout(seen);
  const trouble = diagnose(observed, rollout);
  const verification = readVerification(observed, before.candidate);
  const situation: Situation = {
    app,
    requested: wanted.release,
    intents,
    rollout,
    trouble,
    judgement: judge(seen),
    verification,
    deliveries: observed.deliveries,
    timing: () => {
      const { freezes, refusal } = observed;
      return timingOf(app.spec, freezes, { refusal, overridden: intents.overrideFreeze }, now);
    },
    puller,
    now,
  };
  const mayWrite = mayAct && conflict === undefined;
  const releases = mayWrite ? advanceReleases(before, situation) : unchanged(before, situation);
  const { ledger, changes, wakeAt } = releases;
  const target = targetOf(ledger);
  const arrangement = arrange({ ...seen, ledger });
  const workloads: Workloads = {
    app,
    arrangement,
    sets,
    verification: verificationOf(ledger),
    givesPlaceTo: givesPlaceTo(app, ledger, verification),
    isRollingOut: ledger.candidate !== undefined && phaseOf(ledger.candidate) === "RollingOut",
    puller,
  };
  const unmanaged = findUnmanaged(observed, workloads);
  const overridden = findOverridden(observed, workloads);
  const autoscaler = readAutoscaler(observed, now);
  const status = buildStatus({
    observed,
    pair,
    conflict,
    wanted,
    releases,
    ledger,
    target,
    arrangement,
    rollout,
    serving: sets[arrangement.serving],
    trouble,
    verification,
    autoscaler,
    unmanaged,
    overridden,
    now,
  });
  // Objects of other owners, and the events of a Job without pods, are not watched.
  const resyncAfter = requeueAfter(
    observed,
    conflict !== undefined || verification?.kind === "running",
  );
  const graceAfter = (autoscaler?.graceUntil ?? Number.POSITIVE_INFINITY) - now;
  const wakes = [wakeAt, arrangement.changesAt].filter((time) => time !== undefined);
  const wakeAfter = Math.max(0, Math.min(now + RESYNC_MS, ...wakes) - now);
  return {
    actions: [
      ...pair.polls,
      ...requestedPolls(observed, intents, now),
      ...releases.actions,
      ...(mayWrite ? applyWorkloads(observed, workloads) : []),
      ...releases.prune,
    ],
    status,
    isStatusDue: !isPolling(observed, pair.polls),
    changes,
    events: [...eventsOf(changes, app.status, status), ...releases.dropped.map(droppedEvent)],
    deliveries: dueNotices(ledger, app),
    dropped: releases.dropped,
    requeueAfterMs: Math.min(resyncAfter, wakeAfter, graceAfter),
    isWakeUp: wakeAfter < resyncAfter,
    measures: measuredPods(observed, arrangement),
  };
}

/** Of more pods a part says as much. */
const MAX_MEASURED = 20;

function measuredPods({ pods }: Observed, { measures }: Arrangement): MeterRequest | undefined {
  if (measures === undefined) return undefined;
  const of = (set: SetName): readonly MeasuredPod[] =>
    pods
      .filter((pod) => isOf(pod, set, measures[set].id))
      .flatMap(({ metadata, status }) => {
        const { uid } = metadata ?? {};
        const { podIP: ip } = status ?? {};
        return uid === undefined || ip === undefined
          ? []
          : [{ uid, ip, port: metricsPort(measures[set].inputs) }];
      })
      .slice(0, MAX_MEASURED);
  return { key: measures.key, stable: of("stable"), candidate: of("candidate") };
}

function applyWorkloads(observed: Observed, workloads: Workloads): readonly Action[] {
  return observed.app.spec.suspend
    ? applySuspended(observed, workloads)
    : applyOwned(observed, workloads);
}

/** A source is about to be polled for the first time since the operator started, or again because the other changed. */
function isPolling({ image, model }: Observed, polls: readonly Action[]): boolean {
  const fails = [image, model].some(({ error }) => error !== undefined);
  const isUnknown = [image, model].some(({ value }) => value === undefined);
  return !fails && (isUnknown || polls.length > 0);
}

/** Secrets and ServiceAccounts are not watched: while a source fails, they are read again with each interval. */
function requeueAfter({ app, image, model }: Observed, waitsForUnwatched: boolean): number {
  const intervalMs = milliseconds(app.spec.interval);
  const fails = [image, model].some(({ key, error }) => key === undefined || error !== undefined);
  return fails || waitsForUnwatched ? Math.min(RESYNC_MS, intervalMs) : RESYNC_MS;
}

/** A new token in the annotation means "poll now"; it is handled once it is in the status. */
function requestedPolls(
  { app, image, model, recorded }: Observed,
  { pollToken }: Intents,
  now: number,
): readonly Action[] {
  if (pollToken === undefined || pollToken === app.status?.lastHandledReconcileAt) return [];
  const keepers = recorded.flatMap(({ kept }) =>
    kept === undefined ? [] : [kept.image, kept.model],
  );
  return [image, model, ...keepers].flatMap(({ key }) =>
    key === undefined ? [] : [{ kind: "poll", key, since: now, urgent: true } as const],
  );
}
