import type { AIApp } from "../../../crds/aiapp/aiapp.ts";
import { annotations, candidateName, labels, verificationName } from "../../../crds/names.ts";
import { kinds, type Kind, type KubernetesObject, type V1Deployment } from "../../kube/types.ts";
import type { Arrangement } from "../strategies/strategy.ts";
import { buildHorizontalPodAutoscaler, buildPodDisruptionBudget } from "./availability.ts";
import { buildDeployment } from "./deployment.ts";
import type { SetName } from "./owner.ts";
import { buildService, buildServiceAccount } from "./service.ts";
import type { PullerSettings } from "./template.ts";
import { buildVerification, type Verification } from "./verification.ts";

/** What the objects of an AIApp are built from. */
export interface BuildContext {
  readonly app: AIApp;
  readonly arrangement: Arrangement;
  /** The release that is being verified now. */
  readonly verification: Verification | undefined;
  /** The release whose verification takes the place of a pod of the set that serves. */
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

/** The slots that hold the sets of pods. */
export const setSlots = { stable: "deployment", candidate: "candidateDeployment" } as const;

function buildSet(
  { app, arrangement, givesPlaceTo }: BuildContext,
  set: SetName,
): Wanted<V1Deployment> {
  const desired = arrangement.sets[set];
  if (desired === "keep") return "keep";
  if (desired === "retire") return "delete";
  const givesPlace = set === arrangement.serving ? givesPlaceTo : undefined;
  return buildDeployment(app, set, desired.record, desired.replicas, givesPlace);
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
    build: ({ app, arrangement }) => buildService(app, arrangement.selects),
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
    build: (context) => buildSet(context, "stable"),
  }),
  candidateDeployment: owned({
    kind: kinds.deployment,
    nameOf: candidateName,
    isNeeded: ({ spec }) => (spec.rollout?.strategy ?? "Rolling") !== "Rolling",
    build: (context) => buildSet(context, "candidate"),
  }),
  podDisruptionBudget: owned({
    kind: kinds.podDisruptionBudget,
    nameOf: sameName,
    isNeeded: hasSeveralPods,
    build: ({ app, arrangement }) =>
      hasSeveralPods(app) ? buildPodDisruptionBudget(app, arrangement.serving) : "delete",
  }),
  horizontalPodAutoscaler: owned({
    kind: kinds.horizontalPodAutoscaler,
    nameOf: sameName,
    isNeeded: ({ spec }) => spec.autoscaling !== undefined,
    build: ({ app, arrangement }) =>
      app.spec.autoscaling === undefined
        ? "delete"
        : buildHorizontalPodAutoscaler(app, app.spec.autoscaling, arrangement.serving),
  }),
} as const;

/** The entries of the table, each by the name of its slot. */
export type SlotName = keyof typeof ownedObjects;

type ObjectOf<Entry> = Entry extends OwnedObject<infer T> ? T : never;

/** The object that a slot holds. */
export type SlotObject<Name extends SlotName> = ObjectOf<(typeof ownedObjects)[Name]>;

export const slotNames = Object.keys(ownedObjects) as readonly SlotName[];
