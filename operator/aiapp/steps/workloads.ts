import { annotations, MANAGER } from "../../../crds/names.ts";
import { kinds, type Kind, type KubernetesObject, type V1Deployment } from "../../kube/types.ts";
import type { Action } from "../action.ts";
import { ours, type Observed, type Slot } from "../observed.ts";
import { RETIRED } from "../resources/deployment.ts";
import { desiredOf } from "../resources/desired.ts";
import { compare } from "../resources/drift.ts";
import type { SetName } from "../resources/owner.ts";
import {
  ownedObjects,
  setSlots,
  slotNames,
  type BuildContext,
  type OwnedObject,
  type SlotName,
} from "../resources/owned.ts";
import type { SetState, Sets } from "../strategies/sets.ts";
import { isOverridden } from "./overridden.ts";

/** Second field manager: holds `spec.replicas` from when the operator drops it until the autoscaler takes it. */
const HANDOVER = `${MANAGER}-handover`;

function setOf(name: SlotName): SetName | undefined {
  if (name === setSlots.stable) return "stable";
  return name === setSlots.candidate ? "candidate" : undefined;
}

export interface Workloads extends BuildContext {
  readonly sets: Sets;
  /** The target is a candidate whose rollout has begun. */
  readonly isRollingOut: boolean;
}

/** Brings every owned object to what it should be; what is so already is not written. */
export function applyOwned(observed: Observed, workloads: Workloads): readonly Action[] {
  return slotNames.flatMap((name) => {
    // Each slot holds what its entry of the table names.
    const { kind, isSame } = ownedObjects[name] as OwnedObject;
    const slot = observed.owned[name] as Slot<KubernetesObject>;
    const desired = desiredOf(name, workloads);
    const set = setOf(name);
    if (desired === "keep") return [];
    if (desired === "delete")
      return set === undefined ? remove(kind, slot) : retire(observed, workloads.sets, set);
    // What the spec says of these reaches the cluster at once, without a release.
    if (observed.refusal !== undefined && (name === "service" || name === "verification"))
      return [];
    if (isSame !== undefined) return replace(kind, slot, desired, isSame);
    if (set !== undefined && isAutoscaled(workloads, set))
      return handOver(observed, observed.owned[setSlots[set]], desired);
    return apply(observed, kind, slot, desired);
  });
}

/**
 * What others have added to the pods of the Deployment that serves, and the operator leaves alone. Undefined while the
 * Deployment is not what was applied: what is added to it shows only then.
 */
export function findUnmanaged(
  observed: Observed,
  workloads: Workloads,
): readonly string[] | undefined {
  const slot = setSlots[workloads.arrangement.serving];
  const live = ours(observed.owned[slot]);
  const desired = desiredOf(slot, workloads);
  if (typeof desired === "string" || live === undefined) return undefined;
  const { isApplied, unmanaged } = compare(live, desired);
  return isApplied ? unmanaged.slice(0, MAX_UNMANAGED) : undefined;
}

/** As many as status may hold. */
const MAX_UNMANAGED = 20;

function isAutoscaled({ arrangement: { sets } }: Workloads, set: SetName): boolean {
  const desired = sets[set];
  return typeof desired !== "string" && desired.replicas === undefined;
}

/**
 * While spec.suspend is true what runs goes on running. A rollout that has begun is paused, and a verification that was
 * given up ends and gives its place back; nothing else is written.
 */
export function applySuspended(observed: Observed, workloads: Workloads): readonly Action[] {
  const { arrangement, isRollingOut } = workloads;
  const { verification } = observed.owned;
  const slot = setSlots[arrangement.rollsOut];
  const live = ours(observed.owned[slot]);
  const ends = remove(kinds.job, verification);
  const gavePlace = live?.metadata?.annotations?.[annotations.givesPlaceTo] !== undefined;
  const isPaused = live?.spec?.paused === true;
  if (live === undefined || (!gavePlace && (!isRollingOut || isPaused))) return ends;
  const built = desiredOf(slot, workloads);
  if (typeof built === "string") return ends;
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
 * Deletes a set that no requests go to any more. A Deployment is marked first: a delete that arrives late, of a process
 * that lost its leadership, is of a version that was marked, and never of a set that serves again.
 */
function retire({ owned }: Observed, sets: Sets, set: SetName): readonly Action[] {
  const slot = owned[setSlots[set]];
  const object = ours(slot);
  const isSelected = sets.selected === set || sets.selected === "both";
  if (object === undefined || isSelected) return [];
  const state: SetState = sets[set];
  if (state.isRetired) return remove(kinds.deployment, slot);
  const { uid, resourceVersion } = object.metadata ?? {};
  const patch = {
    metadata: { uid, resourceVersion, annotations: { [annotations.applied]: RETIRED } },
  };
  return [{ kind: "patch", resource: kinds.deployment, object, patch }];
}

/** To drop a field that only the operator owns would reset it to one pod: another manager holds its value first. */
function handOver(
  observed: Observed,
  slot: Slot<V1Deployment>,
  desired: KubernetesObject,
): readonly Action[] {
  const live = ours(slot);
  if (live === undefined || !ownsReplicas(live))
    return apply(observed, kinds.deployment, slot, desired);
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
  observed: Observed,
  resource: Kind,
  slot: Slot<KubernetesObject>,
  desired: KubernetesObject,
): readonly Action[] {
  const live = ours(slot);
  // The hash of what was applied is among the annotations that are compared.
  const isDone =
    live !== undefined &&
    (compare(live, desired).isApplied || isOverridden(observed, resource, live, desired));
  return isDone ? [] : [write(resource, live, desired)];
}

/** A write that arrives late, of a process that lost its leadership, must not bring another release back. */
const versioned: ReadonlySet<Kind> = new Set<Kind>([kinds.deployment, kinds.service]);

/** No object has this version: what is applied with it is created, or there is a conflict because it exists. */
const CREATES = { uid: undefined, resourceVersion: "1" } as const;

function write(
  resource: Kind,
  live: KubernetesObject | undefined,
  object: KubernetesObject,
): Action {
  const { uid, resourceVersion } = live === undefined ? CREATES : (live.metadata ?? {});
  const isVersioned = versioned.has(resource) && resourceVersion !== undefined;
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
