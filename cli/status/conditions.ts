import type { AIApp, Condition } from "../../crds/aiapp.ts";

/** Whether the status speaks of the spec as it is now. */
export function isCurrent({ metadata, status }: AIApp): boolean {
  return status !== undefined && status.observedGeneration >= metadata.generation;
}

/** Serving what the spec says: what the exit status of `aiapp status` tells. */
export function isReady(app: AIApp): boolean {
  const ready = app.status?.conditions?.find((condition) => condition.type === "Ready");
  return isCurrent(app) && ready?.status === "True" && app.metadata.deletionTimestamp === undefined;
}

/** `Reconciling` and `Stalled` are bad when they are there; the others when they are not True. */
export function isWrong({ type, status }: Condition): boolean {
  return type === "Reconciling" || type === "Stalled" ? status === "True" : status !== "True";
}
