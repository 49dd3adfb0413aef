import type { AIApp } from "../../../crds/aiapp.ts";
import { kinds, type Kind, type KubernetesObject } from "../../kube/types.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { buildHorizontalPodAutoscaler, buildPodDisruptionBudget } from "./availability.ts";
import { buildDeployment } from "./deployment.ts";
import { buildService, buildServiceAccount } from "./service.ts";

/** What the objects of an AIApp are built from. */
export interface BuildContext {
  readonly app: AIApp;
  /** The release that the stable set runs; undefined before the first one. */
  readonly target: ReleaseRecord | undefined;
  /** Undefined where an autoscaler owns the number of pods. */
  readonly replicas: number | undefined;
}

/** A kind of object that an AIApp owns: one object, named after the app. */
export interface OwnedObject<T extends KubernetesObject = KubernetesObject> {
  readonly kind: Kind<T>;
  /** Whether the spec asks for it. An object of that name that is not the app's own is a conflict only then. */
  readonly isWanted: (app: AIApp) => boolean;
  /** What becomes of it when the spec no longer asks for it. */
  readonly whenUnwanted: "delete" | "keep";
  /** Undefined while there is nothing to say of it yet: what is there stays as it is. */
  readonly build: (context: BuildContext) => T | undefined;
}

function owned<T extends KubernetesObject>(entry: OwnedObject<T>): OwnedObject<T> {
  return entry;
}

/** From two pods on: for one, a budget would block every drain. */
function hasSeveralPods({ spec }: AIApp): boolean {
  return (spec.replicas ?? spec.autoscaling?.minReplicas ?? 1) >= 2;
}

/**
 * Every kind of object that an AIApp owns, in the order in which they are applied. Observing, conflicts, applying,
 * deleting, the caches and the chart's RBAC go by this table: to add a kind, add an entry.
 */
export const ownedObjects = {
  serviceAccount: owned({
    kind: kinds.serviceAccount,
    isWanted: ({ spec }) => spec.serviceAccountName === undefined,
    // Pods of the running release may still use it.
    whenUnwanted: "keep",
    build: ({ app }) => buildServiceAccount(app),
  }),
  service: owned({
    kind: kinds.service,
    isWanted: () => true,
    whenUnwanted: "keep",
    build: ({ app }) => buildService(app),
  }),
  deployment: owned({
    kind: kinds.deployment,
    isWanted: () => true,
    whenUnwanted: "keep",
    build: ({ app, target, replicas }) => target && buildDeployment(app, target, replicas),
  }),
  podDisruptionBudget: owned({
    kind: kinds.podDisruptionBudget,
    isWanted: hasSeveralPods,
    whenUnwanted: "delete",
    build: ({ app }) => buildPodDisruptionBudget(app),
  }),
  horizontalPodAutoscaler: owned({
    kind: kinds.horizontalPodAutoscaler,
    isWanted: ({ spec }) => spec.autoscaling !== undefined,
    whenUnwanted: "delete",
    build: ({ app }) =>
      app.spec.autoscaling && buildHorizontalPodAutoscaler(app, app.spec.autoscaling),
  }),
} as const;

/** The entries of the table, each by the name of its slot. */
export type SlotName = keyof typeof ownedObjects;

type ObjectOf<Entry> = Entry extends OwnedObject<infer T> ? T : never;

/** The object that a slot holds. */
export type SlotObject<Name extends SlotName> = ObjectOf<(typeof ownedObjects)[Name]>;

export const slotNames = Object.keys(ownedObjects) as readonly SlotName[];
