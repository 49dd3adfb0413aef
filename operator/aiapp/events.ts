import type { AIAppStatus, Condition } from "../../crds/aiapp/status.ts";
import type { ConditionType, Reason } from "../../crds/conditions.ts";
import type { EventNote } from "../runtime/recorder.ts";
import type { DroppedNotice } from "./steps/notices.ts";
import type { PhaseChange } from "./steps/releases.ts";

/** What people should learn: one event for each phase that a release enters, and one for each condition that turns bad. */
export function eventsOf(
  changes: readonly PhaseChange[],
  before: AIAppStatus | undefined,
  after: AIAppStatus,
): readonly EventNote[] {
  const events = changes.map(phaseEvent);
  const conditions = [
    // An outage of what served.
    ...turnedBad("Ready", before, after, ({ status }) => isOutage(status, before)),
    // A rollout reports itself; what goes wrong with it is reported once for each cause.
    ...turnedBad(
      "Released",
      before,
      after,
      ({ status, reason }) =>
        status === "False" && reason !== "RollingOut" && reason !== "WaitingForSources",
    ),
    ...turnedBad("Recoverable", before, after, ({ status }) => status === "False"),
    ...turnedBad("Autoscaling", before, after, ({ status }) => status === "False"),
    ...turnedBad("SourcesReady", before, after, ({ status }) => status === "False"),
    ...turnedBad("Notified", before, after, ({ status }) => status === "False"),
  ];
  events.push(
    ...unmanagedEvent(before, after),
    ...overriddenEvent(before, after),
    ...disruptionEvent(before, after),
  );
  for (const event of conditions)
    if (!events.some(({ reason }) => reason === event.reason)) events.push(event);
  return events;
}

/** Once for each entry that others add. */
function unmanagedEvent(
  before: AIAppStatus | undefined,
  { unmanagedEntries = [] }: AIAppStatus,
): readonly EventNote[] {
  const message = `others have added to the pods of the Deployment: ${unmanagedEntries.join(", ")}; the operator leaves that alone, and releases are verified without it: remove it, or write it into the spec`;
  return foundEvent("UnmanagedEntries", before?.unmanagedEntries, unmanagedEntries, message);
}

/** Once for each field that a policy changes. */
function overriddenEvent(
  before: AIAppStatus | undefined,
  { overriddenFields = [] }: AIAppStatus,
): readonly EventNote[] {
  const message = `a policy of the cluster changes what the operator applies: ${overriddenFields.join("; ")}; the operator does not write it again: change the policy, or write into the spec what it wants`;
  return foundEvent("FieldsOverridden", before?.overriddenFields, overriddenFields, message);
}

/** Where something was found that was not there before. */
function foundEvent(
  reason: Reason,
  before: readonly string[] = [],
  found: readonly string[],
  message: string,
): readonly EventNote[] {
  return found.every((one) => before.includes(one)) ? [] : [{ type: "Warning", reason, message }];
}

/** One restart or eviction is life in a cluster. */
const MANY_RESTARTS = 3;
const MANY_EVICTIONS = 2;

/** Once, when they become many. */
function disruptionEvent(
  before: AIAppStatus | undefined,
  { disruptions }: AIAppStatus,
): readonly EventNote[] {
  const isMany = (found: AIAppStatus["disruptions"]): boolean =>
    (found?.restarts ?? 0) >= MANY_RESTARTS || (found?.evictions ?? 0) >= MANY_EVICTIONS;
  if (disruptions === undefined || !isMany(disruptions) || isMany(before?.disruptions)) return [];
  const reason: Reason = "PodsDisrupted";
  return [{ type: "Warning", reason, message: disruptions.message }];
}

function phaseEvent({ record, phase, before }: PhaseChange): EventNote {
  const what = `release ${record.id} (${record.image} with model version ${record.modelVersion})`;
  const took = before === undefined ? "" : ` after ${Math.round(before.ms / 1000)} s`;
  if (phase === "RollingOut")
    return { type: "Normal", reason: phase, message: `${what} is rolling out` };
  if (phase === "Released")
    return { type: "Normal", reason: phase, message: `${what} is fully rolled out${took}` };
  const why = record.journal.at(-1)?.message;
  const message = `${what} is ${phase}${took}${why === undefined ? "" : `: ${why}`}`;
  return { type: phase === "Failed" ? "Warning" : "Normal", reason: phase, message };
}

/** A notification that is given up. */
export function droppedEvent({ message }: DroppedNotice): EventNote {
  return { type: "Warning", reason: "NotificationFailed", message };
}

function conditionOf(type: ConditionType, status: AIAppStatus | undefined): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

function isOutage(status: Condition["status"], before: AIAppStatus | undefined): boolean {
  return status === "False" && conditionOf("Ready", before)?.status === "True";
}

function turnedBad(
  type: ConditionType,
  before: AIAppStatus | undefined,
  after: AIAppStatus,
  isBad: (condition: Condition) => boolean,
): readonly EventNote[] {
  const [then, now] = [conditionOf(type, before), conditionOf(type, after)];
  if (now === undefined || !isBad(now)) return [];
  if (then?.status === now.status && then.reason === now.reason) return [];
  const { reason, message } = now;
  return [{ type: reason === "Suspended" ? "Normal" : "Warning", reason, message }];
}
