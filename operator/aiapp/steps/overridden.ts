import { annotations } from "../../../crds/names.ts";
import type { Kind, KubernetesObject } from "../../kube/types.ts";
import { ours, type Observed, type Slot } from "../observed.ts";
import { desiredOf } from "../resources/desired.ts";
import { compare } from "../resources/drift.ts";
import {
  ownedObjects,
  slotNames,
  type BuildContext,
  type OwnedObject,
} from "../resources/owned.ts";

/**
 * Whether a policy of the cluster has changed what the operator applied, and another apply of the same would make no
 * difference: the object is what came of the last one.
 */
export function isOverridden(
  { isOutcome }: Observed,
  kind: Kind,
  live: KubernetesObject,
  desired: KubernetesObject,
): boolean {
  const appliedOf = ({ metadata }: KubernetesObject): string | undefined =>
    metadata?.annotations?.[annotations.applied];
  return (
    appliedOf(live) === appliedOf(desired) &&
    isOutcome(kind, live, compare(live, desired).overridden)
  );
}

/** As many as status may hold. */
const MAX_OVERRIDDEN = 20;

/**
 * The fields of owned objects that policies of the cluster have changed, such as
 * `Deployment cats: spec.template.spec.containers[server].image`. Undefined while an object is about to be written: what
 * becomes of it shows only then.
 */
export function findOverridden(
  observed: Observed,
  context: BuildContext,
): readonly string[] | undefined {
  const found: string[] = [];
  for (const name of slotNames) {
    const { kind, isSame } = ownedObjects[name] as OwnedObject;
    const live = ours(observed.owned[name] as Slot<KubernetesObject>);
    // What cannot be changed is compared otherwise.
    if (live === undefined || isSame !== undefined) continue;
    const desired = desiredOf(name, context);
    if (typeof desired === "string") continue;
    const { isApplied, overridden } = compare(live, desired);
    if (isApplied) continue;
    if (!isOverridden(observed, kind, live, desired)) return undefined;
    found.push(...overridden.map((path) => `${kind.kind} ${live.metadata?.name ?? ""}: ${path}`));
  }
  return found.slice(0, MAX_OVERRIDDEN);
}
