import type { z } from "zod";

import { AIAppStatus } from "../../../crds/aiapp/status.ts";
import type { Reason } from "../../../crds/conditions.ts";
import type { KubernetesObject } from "../../kube/types.ts";
import { conditionOf } from "./build.ts";
import { isFalse, isTrue } from "./findings.ts";

/** An AIApp that does not match the schema: it was stored under an older one. What its status says of releases stays. */
export function invalidStatus(
  object: KubernetesObject,
  error: z.ZodError,
  now: number,
): AIAppStatus {
  const [issue] = error.issues;
  const message = `spec is not valid: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}; correct it and apply again`;
  return unservedStatus(object, message, now, "InvalidSpec");
}

/** An AIApp that the operator does not serve, whatever its spec says. What its status says of releases stays. */
export function unservedStatus(
  object: KubernetesObject,
  message: string,
  now: number,
  reason: Reason,
): AIAppStatus {
  const generation: unknown = Reflect.get(object.metadata ?? {}, "generation");
  const before = AIAppStatus.safeParse(Reflect.get(object, "status")).data;
  const observedGeneration = typeof generation === "number" ? generation : 0;
  return refusedStatus({ ...before, observedGeneration }, before, message, now, reason);
}

/** The API server rejects what the spec asks for: nothing moves until the spec or the operator's rights change. */
export function refusedStatus(
  status: AIAppStatus,
  before: AIAppStatus | undefined,
  message: string,
  now: number,
  reason: Reason = "ApplyRefused",
): AIAppStatus {
  const kept = (status.conditions ?? []).filter(
    ({ type }) => type !== "Reconciling" && type !== "Stalled" && type !== "Released",
  );
  const { observedGeneration } = status;
  return {
    ...status,
    conditions: [
      ...kept,
      conditionOf("Released", isFalse(reason, message), before, observedGeneration, now),
      conditionOf("Stalled", isTrue(reason, message), before, observedGeneration, now),
    ],
  };
}
