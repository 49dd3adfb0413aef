import type { AIAppStatus } from "../../crds/aiapp.ts";
import { annotations } from "../../crds/names.ts";
import type { EventNote } from "../runtime/recorder.ts";
import type { Action } from "./action.ts";
import type { PullerSettings } from "./resources/template.ts";
import { milliseconds } from "./duration.ts";
import type { Observed } from "./observed.ts";
import { buildStatus } from "./status.ts";
import { eventsOf } from "./events.ts";
import { decideTarget } from "./steps/target.ts";
import { diagnose } from "./steps/diagnose.ts";
import { findConflict } from "./steps/conflict.ts";
import { findPair } from "./steps/pair.ts";
import { ownObjects } from "./steps/objects.ts";
import { judgeProgress } from "./steps/progress.ts";
import { keepRecords } from "./steps/records.ts";

export interface Plan {
  readonly actions: readonly Action[];
  readonly status: AIAppStatus;
  readonly events: readonly EventNote[];
  /** When to look again, if nothing happens. Milliseconds. */
  readonly requeueAfterMs: number;
}

/** Rechecked even when nothing happens, in case that a watch has lost something. */
const RESYNC_MS = 10 * 60_000;

/**
 * Decides, from the world as it was read and the time, all that is to be done about one AIApp. Pure: this list is the
 * table of contents of the operator.
 */
export function plan(observed: Observed, puller: PullerSettings, now: number): Plan {
  const pair = findPair(observed);
  const conflict = findConflict(observed);
  const target = decideTarget(observed, pair, puller);
  const progress = judgeProgress(observed, target);
  const acts = !observed.app.spec.suspend && conflict === undefined;
  const records = keepRecords(observed, target, progress, { acts, now });
  const trouble = diagnose(observed, progress);
  const status = buildStatus({ observed, pair, conflict, target, progress, records, trouble, now });
  return {
    actions: [
      ...pair.polls,
      ...requestedPolls(observed, now),
      ...(acts ? [...records.actions, ...ownObjects(observed, target), ...records.prune] : []),
    ],
    status,
    events: eventsOf(observed.app.status, status),
    requeueAfterMs: lookAgainAfter(observed),
  };
}

/**
 * Secrets and ServiceAccounts are not watched: while a source cannot be asked or fails, they are read again with each
 * interval.
 */
function lookAgainAfter({ app, image, model }: Observed): number {
  const fails = [image, model].some(({ key, error }) => key === undefined || error !== undefined);
  return fails ? Math.min(RESYNC_MS, milliseconds(app.spec.interval)) : RESYNC_MS;
}

/** A new token in the annotation means "poll now"; it is handled once it stands in the status. */
function requestedPolls({ app, image, model }: Observed, now: number): readonly Action[] {
  const token = app.metadata.annotations?.[annotations.requestedAt];
  if (token === undefined || token === app.status?.lastHandledReconcileAt) return [];
  return [image, model].flatMap(({ key }) =>
    key === undefined ? [] : [{ kind: "poll", key, since: now, urgent: true } as const],
  );
}
