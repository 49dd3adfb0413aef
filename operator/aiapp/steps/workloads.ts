import { annotations, MANAGER } from "../../../crds/names.ts";
import { kinds, type Kind, type KubernetesObject, type V1Deployment } from "../../kube/types.ts";
import type { Action } from "../action.ts";
import { hashOf } from "../canonical.ts";
import { ours, type Observed, type Slot } from "../observed.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { covers } from "../resources/drift.ts";
import {
  ownedObjects,
  slotNames,
  type BuildContext,
  type OwnedObject,
} from "../resources/owned.ts";

/** Second field manager: holds `spec.replicas` from when the operator drops it until the autoscaler takes it. */
const HANDOVER = `${MANAGER}-handover`;

/** Brings every owned object to what it should be; what is so already is not written. */
export function applyOwned(
  observed: Observed,
  target: ReleaseRecord | undefined,
): readonly Action[] {
  const { app } = observed;
  const context: BuildContext = { app, target, replicas: replicasOf(observed) };
  return slotNames.flatMap((name) => {
    // Each slot holds what its entry of the table names.
    const entry = ownedObjects[name] as OwnedObject;
    const slot = observed.owned[name] as Slot<KubernetesObject>;
    if (!entry.isWanted(app))
      return entry.whenUnwanted === "delete" ? remove(entry.kind, slot) : [];
    const desired = entry.build(context);
    if (desired === undefined) return [];
    return name === "deployment"
      ? applyDeployment(observed, desired)
      : apply(entry.kind, slot, desired);
  });
}

/**
 * The number of pods, where it is the operator's to say. A new Deployment starts with the least that the autoscaler would
 * give it; after that the number is the autoscaler's.
 */
function replicasOf({ app, owned }: Observed): number | undefined {
  const { replicas, autoscaling } = app.spec;
  if (autoscaling === undefined) return replicas ?? 1;
  return owned.deployment.state === "ours" ? undefined : autoscaling.minReplicas;
}

/** To drop a field that only the operator owns would reset it to one pod: another manager holds its value first. */
function applyDeployment({ owned }: Observed, desired: V1Deployment): readonly Action[] {
  const live = ours(owned.deployment);
  if (live === undefined || desired.spec?.replicas !== undefined || !ownsReplicas(live))
    return apply(kinds.deployment, owned.deployment, desired);
  const { namespace = "", name = "", uid } = live.metadata ?? {};
  const object = { metadata: { namespace, name }, spec: { replicas: live.spec?.replicas ?? 1 } };
  return [
    { kind: "apply", resource: kinds.deployment, object, uid, manager: HANDOVER },
    write(kinds.deployment, live, desired),
  ];
}

/** Whether `spec.replicas` is among the fields that the operator applied (metadata.managedFields). */
function ownsReplicas(deployment: V1Deployment): boolean {
  return (deployment.metadata?.managedFields ?? []).some(({ manager, fieldsV1 }) => {
    if (manager !== MANAGER || typeof fieldsV1 !== "object") return false;
    const spec: unknown = Reflect.get(fieldsV1, "f:spec");
    return typeof spec === "object" && spec !== null && "f:replicas" in spec;
  });
}

function apply<T extends KubernetesObject>(
  resource: Kind<T>,
  slot: Slot<T>,
  desired: T,
): readonly Action[] {
  const live = ours(slot);
  const isCurrent =
    live !== undefined &&
    covers(live, desired) &&
    live.metadata?.annotations?.[annotations.applied] === appliedHash(desired);
  return isCurrent ? [] : [write(resource, live, desired)];
}

/** Stands for all that was applied: a field that is no longer wanted is noticed by it. */
function appliedHash(desired: KubernetesObject): string {
  return hashOf(desired);
}

function write<T extends KubernetesObject>(
  resource: Kind<T>,
  live: T | undefined,
  desired: T,
): Action {
  const hash = appliedHash(desired);
  const { metadata } = desired;
  const annotated = { ...metadata?.annotations, [annotations.applied]: hash };
  const object = { ...desired, metadata: { ...metadata, annotations: annotated } };
  return { kind: "apply", resource, object, uid: live?.metadata?.uid };
}

function remove<T extends KubernetesObject>(resource: Kind<T>, slot: Slot<T>): readonly Action[] {
  return slot.state === "ours" ? [{ kind: "delete", resource, object: slot.object }] : [];
}
