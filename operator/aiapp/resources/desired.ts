import type { AIAppSpec } from "../../../crds/aiapp.ts";
import { annotations } from "../../../crds/names.ts";
import type { KubernetesObject } from "../../kube/types.ts";
import { hashOf } from "../canonical.ts";
import { ownedObjects, type BuildContext, type OwnedObject, type SlotName } from "./owned.ts";

/** An owned object as it should be, with the hash of it in an annotation. */
export interface Desired {
  readonly object: KubernetesObject;
  /** Stands for all that is applied: a field that is no longer wanted is noticed by it. */
  readonly hash: string;
}

interface Entry extends BuildContext {
  readonly desired: Desired | undefined;
}

/** Built and hashed once for each spec, release and number of pods: nearly every reconcile finds them unchanged. */
const built = new WeakMap<AIAppSpec, Map<SlotName, Entry>>();

export function desiredOf(name: SlotName, context: BuildContext): Desired | undefined {
  const { app, target, replicas } = context;
  const entries = built.get(app.spec) ?? new Map<SlotName, Entry>();
  const known = entries.get(name);
  if (
    known?.app.metadata.uid === app.metadata.uid &&
    known.target === target &&
    known.replicas === replicas
  )
    return known.desired;
  const desired = build(ownedObjects[name], context);
  built.set(app.spec, entries.set(name, { ...context, desired }));
  return desired;
}

function build(entry: Pick<OwnedObject, "build">, context: BuildContext): Desired | undefined {
  const plain = entry.build(context);
  if (plain === undefined) return undefined;
  const hash = hashOf(plain);
  const { metadata } = plain;
  const annotated = { ...metadata?.annotations, [annotations.applied]: hash };
  return { object: { ...plain, metadata: { ...metadata, annotations: annotated } }, hash };
}
