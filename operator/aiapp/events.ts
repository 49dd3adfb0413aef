import type { AIAppStatus, Condition } from "../../crds/aiapp.ts";
import type { ConditionType } from "../../crds/conditions.ts";
import type { EventNote } from "../runtime/recorder.ts";

/** What people should hear of, told from the change of status: one event per change, none while nothing changes. */
export function eventsOf(
  before: AIAppStatus | undefined,
  after: AIAppStatus,
): readonly EventNote[] {
  const events: EventNote[] = [];
  const { candidate, current } = after;
  if (candidate !== undefined && before?.candidate?.id !== candidate.id) {
    events.push({
      type: "Normal",
      reason: "RollingOut",
      message: `release ${candidate.id} is rolling out: ${candidate.image} with model version ${candidate.modelVersion}`,
    });
  }
  if (
    current !== undefined &&
    (before?.current?.id !== current.id || before.current.since !== current.since)
  ) {
    events.push({
      type: "Normal",
      reason: "Released",
      message: `release ${current.id} is out: ${current.image} with model version ${current.modelVersion}`,
    });
  }
  // A rollout under way says so itself; what went wrong with it is told once per cause.
  events.push(
    ...turned(
      "Released",
      before,
      after,
      (now) =>
        now.status === "False" && now.reason !== "RollingOut" && now.reason !== "WaitingForSources",
    ),
  );
  const told = new Set(events.map(({ message }) => message));
  events.push(
    ...turned("SourcesReady", before, after, (now) => now.status === "False").filter(
      ({ message }) => !told.has(message),
    ),
  );
  return events;
}

function conditionOf(type: ConditionType, status: AIAppStatus | undefined): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

function turned(
  type: ConditionType,
  before: AIAppStatus | undefined,
  after: AIAppStatus,
  bad: (condition: Condition) => boolean,
): readonly EventNote[] {
  const [then, now] = [conditionOf(type, before), conditionOf(type, after)];
  if (now === undefined || !bad(now) || (then?.status === now.status && then.reason === now.reason))
    return [];
  return [
    {
      type: now.reason === "Suspended" ? "Normal" : "Warning",
      reason: now.reason,
      message: now.message,
    },
  ];
}
