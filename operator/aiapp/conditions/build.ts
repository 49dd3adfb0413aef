import type { AIAppStatus, Condition } from "../../../crds/aiapp/status.ts";
import type { ConditionType } from "../../../crds/conditions.ts";
import { formatTime } from "../../../crds/grammar/rfc3339.ts";
import { chains, decide, scaling } from "./chains.ts";
import type { Findings, Verdict } from "./findings.ts";
import { findReconciling, findStalled } from "./kstatus.ts";

const MAX_MESSAGE = 4096;

/** Every condition. Its time of last transition is kept where its status is what it was. */
export function buildConditions(findings: Findings): Condition[] {
  const { app } = findings.observed;
  const ready = decide(chains.Ready, findings);
  const stalled = findStalled(findings, ready);
  const reconciling = stalled === undefined ? findReconciling(findings) : undefined;
  const verdicts: readonly (readonly [ConditionType, Verdict | undefined])[] = [
    ["Ready", ready],
    ["Available", decide(chains.Available, findings)],
    ["Released", decide(chains.Released, findings)],
    ["SourcesReady", decide(chains.SourcesReady, findings)],
    ["Recoverable", findings.ledger.stable && decide(chains.Recoverable, findings)],
    ["Notified", app.spec.notifications && decide(chains.Notified, findings)],
    ["Autoscaling", scaling(findings)],
    ["Reconciling", reconciling],
    ["Stalled", stalled],
  ];
  return verdicts.flatMap(([type, verdict]) =>
    verdict === undefined
      ? []
      : [conditionOf(type, verdict, app.status, app.metadata.generation, findings.now)],
  );
}

export function conditionOf(
  type: ConditionType,
  { status, reason, message }: Verdict,
  before: AIAppStatus | undefined,
  observedGeneration: number,
  now: number,
): Condition {
  const old = before?.conditions?.find((condition) => condition.type === type);
  return {
    type,
    status,
    reason,
    message: message.slice(0, MAX_MESSAGE),
    observedGeneration,
    lastTransitionTime: old?.status === status ? old.lastTransitionTime : formatTime(now),
  };
}
