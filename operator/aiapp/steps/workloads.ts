import { annotations, MANAGER } from "../../../crds/names.ts";
import { kinds, type Kind, type KubernetesObject, type V1Deployment } from "../../kube/types.ts";
import type { Action } from "../action.ts";
import { ours, type Observed, type Slot } from "../observed.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { desiredOf } from "../resources/desired.ts";
import { covers, unmanagedEntries } from "../resources/drift.ts";
import type { PullerSettings } from "../resources/template.ts";
import type { Verification } from "../resources/verification.ts";
import {
  ownedObjects,
  slotNames,
  type BuildContext,
  type OwnedObject,
} from "../resources/owned.ts";

/** Second field manager: holds `spec.replicas` from when the operator drops it until the autoscaler takes it. */
const HANDOVER = `${MANAGER}-handover`;

export interface Workloads {
  readonly target: ReleaseRecord | undefined;
  readonly verification: Verification | undefined;
  /** The release whose verification takes the place of a pod of the stable set. */
  readonly givesPlaceTo: string | undefined;
  /** The target is a candidate whose rollout has begun. */
  readonly isRollingOut: boolean;
  readonly puller: PullerSettings;
}

/** Brings every owned object to what it should be; what is so already is not written. */
export function applyOwned(observed: Observed, workloads: Workloads): readonly Action[] {
  const context = contextOf(observed, workloads);
  return slotNames.flatMap((name) => {
    // Each slot holds what its entry of the table names.
    const { kind, isSame } = ownedObjects[name] as OwnedObject;
    const slot = observed.owned[name] as Slot<KubernetesObject>;
    const desired = desiredOf(name, context);
    if (desired === "keep") return [];
    if (desired === "delete") return remove(kind, slot);
    if (isSame !== undefined) return replace(kind, slot, desired, isSame);
    if (name === "deployment" && context.replicas === undefined) return handOver(observed, desired);
    return apply(kind, slot, desired);
  });
}

function contextOf(
  observed: Observed,
  { target, verification, givesPlaceTo, puller }: Workloads,
): BuildContext {
  const { app } = observed;
  return { app, replicas: replicasOf(observed), target, verification, givesPlaceTo, puller };
}

/**
 * What others have added to the pods of the Deployment, and the operator leaves alone. Undefined while the Deployment is
 * not what was applied: what is added to it shows only then.
 */
export function findUnmanaged(
  observed: Observed,
  workloads: Workloads,
): readonly string[] | undefined {
  const live = ours(observed.owned.deployment);
  const desired = desiredOf("deployment", contextOf(observed, workloads));
  if (typeof desired === "string" || live === undefined || !covers(live, desired)) return undefined;
  return unmanagedEntries(podOf(live), podOf(desired)).slice(0, MAX_UNMANAGED);
}

/** As many as status may hold. */
const MAX_UNMANAGED = 20;

function podOf(deployment: KubernetesObject): unknown {
  const { spec } = deployment as V1Deployment;
  return spec?.template.spec;
}

/**
 * While spec.suspend is true what runs goes on running. A rollout that has begun is paused, and a verification that was
 * given up ends and gives its place back; nothing else is written.
 */
export function applySuspended(observed: Observed, workloads: Workloads): readonly Action[] {
  const { target, isRollingOut } = workloads;
  const { verification, deployment } = observed.owned;
  const live = ours(deployment);
  const ends = remove(kinds.job, verification);
  const gavePlace = live?.metadata?.annotations?.[annotations.givesPlaceTo] !== undefined;
  const isPaused = live?.spec?.paused === true;
  if (live === undefined || (!gavePlace && (!isRollingOut || isPaused))) return ends;
  const built = desiredOf("deployment", contextOf(observed, workloads));
  if (typeof built === "string" || target === undefined) return ends;
  if (!isRollingOut) return [...ends, write(kinds.deployment, live, built)];
  // With another hash, so that resuming applies what there was before.
  const annotated = { ...built.metadata?.annotations, [annotations.applied]: "paused" };
  const object = {
    ...built,
    metadata: { ...built.metadata, annotations: annotated },
    spec: { ...Reflect.get(built, "spec"), paused: true },
  };
  return [...ends, write(kinds.deployment, live, object)];
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
function handOver({ owned }: Observed, desired: KubernetesObject): readonly Action[] {
  const live = ours(owned.deployment);
  if (live === undefined || !ownsReplicas(live))
    return apply(kinds.deployment, owned.deployment, desired);
  const { namespace = "", name = "", uid } = live.metadata ?? {};
  const object = { metadata: { namespace, name }, spec: { replicas: live.spec?.replicas ?? 1 } };
  // The first write makes a new version, so that the second cannot name one.
  return [
    { kind: "apply", resource: kinds.deployment, object, uid, manager: HANDOVER },
    { kind: "apply", resource: kinds.deployment, object: desired, uid },
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

function apply(
  resource: Kind,
  slot: Slot<KubernetesObject>,
  desired: KubernetesObject,
): readonly Action[] {
  const live = ours(slot);
  // The hash is among the annotations that it covers.
  return live !== undefined && covers(live, desired) ? [] : [write(resource, live, desired)];
}

function write(
  resource: Kind,
  live: KubernetesObject | undefined,
  object: KubernetesObject,
): Action {
  const { uid, resourceVersion } = live?.metadata ?? {};
  // A write that arrives late, of a process that lost its leadership, must not bring another release back.
  const isVersioned = resource.kind === kinds.deployment.kind && resourceVersion !== undefined;
  return { kind: "apply", resource, object, uid, ...(isVersioned && { resourceVersion }) };
}

/** An object that cannot be changed is deleted first; the next reconcile creates the new one. */
function replace(
  resource: Kind,
  slot: Slot<KubernetesObject>,
  object: KubernetesObject,
  isSame: NonNullable<OwnedObject["isSame"]>,
): readonly Action[] {
  if (slot.state === "absent") return [{ kind: "create", resource, object }];
  return slot.state === "ours" && !isSame(slot.object, object) ? remove(resource, slot) : [];
}

function remove(resource: Kind, slot: Slot<KubernetesObject>): readonly Action[] {
  return slot.state === "ours" && slot.object.metadata?.deletionTimestamp === undefined
    ? [{ kind: "delete", resource, object: slot.object }]
    : [];
}
