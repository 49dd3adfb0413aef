import type { AIApp } from "../../../crds/aiapp/aiapp.ts";
import { annotations, labels, verificationName } from "../../../crds/names.ts";
import { kinds, type Kind, type KubernetesObject } from "../../kube/types.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { buildHorizontalPodAutoscaler, buildPodDisruptionBudget } from "./availability.ts";
import { buildDeployment } from "./deployment.ts";
import { buildService, buildServiceAccount } from "./service.ts";
import type { PullerSettings } from "./template.ts";
import { buildVerification, type Verification } from "./verification.ts";

/** What the objects of an AIApp are built from. */
export interface BuildContext {
  readonly app: AIApp;
  /** The release that the stable set runs; undefined before the first one. */
  readonly target: ReleaseRecord | undefined;
  /** The release that is being verified now. */
  readonly verification: Verification | undefined;
  /** Undefined where an autoscaler owns the number of pods. */
  readonly replicas: number | undefined;
  /** The release whose verification takes the place of a pod of the stable set. */
  readonly givesPlaceTo: string | undefined;
  readonly puller: PullerSettings;
}

/** What decides which objects an AIApp needs. */
export interface Needs {
  readonly spec: AIApp["spec"];
  readonly isVerifying: boolean;
}

/** What the table says of an object: the object itself, or what becomes of one that is there. */
export type Wanted<T> = T | "keep" | "delete";

/** A kind of object that an AIApp owns: one object, named after the app. */
export interface OwnedObject<T extends KubernetesObject = KubernetesObject> {
  readonly kind: Kind<T>;
  readonly nameOf: (app: string) => string;
  /** Whether it is needed now. Only then is an object of another owner under its name a conflict. */
  readonly isNeeded: (needs: Needs) => boolean;
  readonly build: (context: BuildContext) => Wanted<T>;
  /** Of an object that cannot be changed: whether one that is there is the one to build. */
  readonly isSame?: (live: KubernetesObject, desired: KubernetesObject) => boolean;
}

function owned<T extends KubernetesObject>(entry: OwnedObject<T>): OwnedObject<T> {
  return entry;
}

function sameName(app: string): string {
  return app;
}

/** From two pods on: for one, a budget would block every drain. */
function hasSeveralPods({ spec }: Pick<Needs, "spec">): boolean {
  return (spec.replicas ?? spec.autoscaling?.minReplicas ?? 1) >= 2;
}

function isSameVerification(live: KubernetesObject, desired: KubernetesObject): boolean {
  const [a, b] = [live.metadata, desired.metadata];
  return (
    a?.labels?.[labels.release] === b?.labels?.[labels.release] &&
    a?.annotations?.[annotations.attempt] === b?.annotations?.[annotations.attempt]
  );
}

/**
 * Every kind of object that an AIApp owns, in the order in which they are applied. Observing, conflicts, applying,
 * deleting, the caches and the chart's RBAC go by this table: to add a kind, add an entry.
 */
export const ownedObjects = {
  serviceAccount: owned({
    kind: kinds.serviceAccount,
    nameOf: sameName,
    isNeeded: ({ spec }) => spec.serviceAccountName === undefined,
    // Pods of the running release may still use it when the spec names another one.
    build: ({ app }) =>
      app.spec.serviceAccountName === undefined ? buildServiceAccount(app) : "keep",
  }),
  service: owned({
    kind: kinds.service,
    nameOf: sameName,
    isNeeded: () => true,
    build: ({ app }) => buildService(app),
  }),
  verification: owned({
    kind: kinds.job,
    nameOf: verificationName,
    isNeeded: ({ isVerifying }) => isVerifying,
    build: ({ app, verification, puller }) =>
      verification === undefined ? "delete" : buildVerification(app, verification, puller),
    isSame: isSameVerification,
  }),
  deployment: owned({
    kind: kinds.deployment,
    nameOf: sameName,
    isNeeded: () => true,
    build: ({ app, target, replicas, givesPlaceTo }) =>
      target === undefined ? "keep" : buildDeployment(app, target, replicas, givesPlaceTo),
  }),
  podDisruptionBudget: owned({
    kind: kinds.podDisruptionBudget,
    nameOf: sameName,
    isNeeded: hasSeveralPods,
    build: ({ app }) => (hasSeveralPods(app) ? buildPodDisruptionBudget(app) : "delete"),
  }),
  horizontalPodAutoscaler: owned({
    kind: kinds.horizontalPodAutoscaler,
    nameOf: sameName,
    isNeeded: ({ spec }) => spec.autoscaling !== undefined,
    build: ({ app }) =>
      app.spec.autoscaling === undefined
        ? "delete"
        : buildHorizontalPodAutoscaler(app, app.spec.autoscaling),
  }),
} as const;

/** The entries of the table, each by the name of its slot. */
export type SlotName = keyof typeof ownedObjects;

type ObjectOf<Entry> = Entry extends OwnedObject<infer T> ? T : never;

/** The object that a slot holds. */
export type SlotObject<Name extends SlotName> = ObjectOf<(typeof ownedObjects)[Name]>;

export const slotNames = Object.keys(ownedObjects) as readonly SlotName[];
