import { MANAGER } from "../../../crds/names.ts";
import { kinds, type Kind, type KubernetesObject, type V1Deployment } from "../../kube/types.ts";
import type { Action } from "../action.ts";
import { ours, type Observed, type Slot } from "../observed.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { desiredOf, type Desired } from "../resources/desired.ts";
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
    const desired = desiredOf(name, context);
    if (desired === undefined) return [];
    if (name === "deployment" && context.replicas === undefined) return handOver(observed, desired);
    return apply(entry.kind, slot, desired);
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
function handOver({ owned }: Observed, desired: Desired): readonly Action[] {
  const live = ours(owned.deployment);
  if (live === undefined || !ownsReplicas(live))
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

function apply(resource: Kind, slot: Slot<KubernetesObject>, desired: Desired): readonly Action[] {
  const live = ours(slot);
  // The hash is among the annotations that it covers.
  return live !== undefined && covers(live, desired.object) ? [] : [write(resource, live, desired)];
}

function write(resource: Kind, live: KubernetesObject | undefined, { object }: Desired): Action {
  return { kind: "apply", resource, object, uid: live?.metadata?.uid };
}

function remove(resource: Kind, slot: Slot<KubernetesObject>): readonly Action[] {
  return slot.state === "ours" ? [{ kind: "delete", resource, object: slot.object }] : [];
}
