import type { AIAppStatus, Condition } from "../../crds/aiapp.ts";
import type { ConditionType } from "../../crds/conditions.ts";
import type { EventNote } from "../runtime/recorder.ts";
import type { PhaseChange } from "./steps/releases.ts";

/** What people should learn: one event for each phase that a release enters, and one for each condition that turns bad. */
export function eventsOf(
  changes: readonly PhaseChange[],
  before: AIAppStatus | undefined,
  after: AIAppStatus,
): readonly EventNote[] {
  const events = changes.map(phaseEvent);
  // A rollout reports itself; what goes wrong with it is reported once for each cause.
  events.push(
    ...turnedBad(
      "Released",
      before,
      after,
      ({ status, reason }) =>
        status === "False" && reason !== "RollingOut" && reason !== "WaitingForSources",
    ),
  );
  const messages = new Set(events.map(({ message }) => message));
  events.push(
    ...turnedBad("SourcesReady", before, after, ({ status }) => status === "False").filter(
      ({ message }) => !messages.has(message),
    ),
  );
  return events;
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

function conditionOf(type: ConditionType, status: AIAppStatus | undefined): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
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
