import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import type { Condition } from "../../crds/aiapp/status.ts";

/** Whether the operator has observed the latest generation of the spec. */
export function isCurrent({ metadata, status }: AIApp): boolean {
  return status !== undefined && status.observedGeneration >= metadata.generation;
}

/** Whether `Ready` is True for the latest generation: the exit status of `aiapp status`. */
export function isReady(app: AIApp): boolean {
  return (
    isCurrent(app) &&
    conditionOf(app, "Ready")?.status === "True" &&
    app.metadata.deletionTimestamp === undefined
  );
}

/** `Reconciling` and `Stalled` report a problem while True (kstatus); the others while they are not True. */
export function isProblem({ type, status }: Condition): boolean {
  return type === "Reconciling" || type === "Stalled" ? status === "True" : status !== "True";
}

export function conditionOf(app: AIApp, type: Condition["type"]): Condition | undefined {
  return app.status?.conditions?.find((condition) => condition.type === type);
}
