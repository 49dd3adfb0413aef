import type { AIAppSpec } from "../../../crds/aiapp/spec.ts";
import { annotations } from "../../../crds/names.ts";
import type { KubernetesObject } from "../../kube/types.ts";
import { hashOf } from "../canonical.ts";
import type { Arrangement, DesiredSet } from "../strategies/strategy.ts";
import {
  ownedObjects,
  type BuildContext,
  type OwnedObject,
  type SlotName,
  type Wanted,
} from "./owned.ts";

interface Entry {
  readonly uid: string;
  readonly context: BuildContext;
  readonly desired: Wanted<KubernetesObject>;
}

/** Built and hashed once for each spec, release and number of pods: nearly every reconcile finds them unchanged. */
const built = new WeakMap<AIAppSpec, Map<SlotName, Entry>>();

/**
 * An owned object as it should be. An annotation holds the hash of all that is applied: a field that is no longer wanted
 * is noticed by it.
 */
export function desiredOf(name: SlotName, context: BuildContext): Wanted<KubernetesObject> {
  const { app } = context;
  const { uid } = app.metadata;
  const entries = built.get(app.spec) ?? new Map<SlotName, Entry>();
  const known = entries.get(name);
  if (known?.uid === uid && isSameContext(known.context, context)) return known.desired;
  const desired = withHash((ownedObjects[name] as OwnedObject).build(context));
  built.set(app.spec, entries.set(name, { uid, context, desired }));
  return desired;
}

function isSameContext(a: BuildContext, b: BuildContext): boolean {
  return (
    isSameArrangement(a.arrangement, b.arrangement) &&
    a.givesPlaceTo === b.givesPlaceTo &&
    a.puller === b.puller &&
    a.verification?.record === b.verification?.record &&
    a.verification?.attempt === b.verification?.attempt
  );
}

function isSameArrangement(a: Arrangement, b: Arrangement): boolean {
  return (
    a.selects === b.selects &&
    a.serving === b.serving &&
    isSameSet(a.sets.stable, b.sets.stable) &&
    isSameSet(a.sets.candidate, b.sets.candidate)
  );
}

function isSameSet(a: DesiredSet, b: DesiredSet): boolean {
  if (typeof a === "string" || typeof b === "string") return a === b;
  return a.record === b.record && a.replicas === b.replicas;
}

function withHash(object: Wanted<KubernetesObject>): Wanted<KubernetesObject> {
  if (typeof object === "string") return object;
  const { metadata } = object;
  const annotated = { ...metadata?.annotations, [annotations.applied]: hashOf(object) };
  return { ...object, metadata: { ...metadata, annotations: annotated } };
}
