import { annotations, MANAGER } from "../../../crds/names.ts";
import { kinds, type Kind, type KubernetesObject, type V1Deployment } from "../../kube/types.ts";
import {
  buildDeployment,
  buildHorizontalPodAutoscaler,
  buildPodDisruptionBudget,
  buildService,
  buildServiceAccount,
} from "../resources/objects.ts";
import { hashOf } from "../canonical.ts";
import { ours, type Observed, type Slot } from "../observed.ts";
import type { Action } from "../action.ts";
import type { Target } from "./target.ts";

/** Second field manager: holds `spec.replicas` from when we let go of it until the autoscaler takes it. */
const HANDOVER = `${MANAGER}-handover`;

/** Brings every owned object to what it should be; nothing is written that is so already. */
export function ownObjects(observed: Observed, { release }: Target): readonly Action[] {
  const { app } = observed;
  const { autoscaling } = app.spec;
  const replicas = autoscaling === undefined ? (app.spec.replicas ?? 1) : undefined;
  const several = (replicas ?? autoscaling?.minReplicas ?? 1) >= 2;
  return [
    ...(app.spec.serviceAccountName === undefined
      ? applied(kinds.serviceAccount, observed.serviceAccount, buildServiceAccount(app))
      : []),
    ...applied(kinds.service, observed.service, buildService(app)),
    ...(release === undefined
      ? []
      : deploymentActions(
          observed,
          buildDeployment(app, release, startingReplicas(observed, replicas)),
        )),
    ...(several
      ? applied(
          kinds.podDisruptionBudget,
          observed.podDisruptionBudget,
          buildPodDisruptionBudget(app),
        )
      : removed(kinds.podDisruptionBudget, observed.podDisruptionBudget)),
    ...(autoscaling === undefined
      ? removed(kinds.horizontalPodAutoscaler, observed.horizontalPodAutoscaler)
      : applied(
          kinds.horizontalPodAutoscaler,
          observed.horizontalPodAutoscaler,
          buildHorizontalPodAutoscaler(app, autoscaling),
        )),
  ];
}

/** A new Deployment starts with what the autoscaler would give it at least; after that the number is the autoscaler's. */
function startingReplicas(
  { app, deployment }: Observed,
  replicas: number | undefined,
): number | undefined {
  if (replicas !== undefined || deployment.state === "ours") return replicas;
  return app.spec.autoscaling?.minReplicas;
}

function deploymentActions(observed: Observed, desired: V1Deployment): readonly Action[] {
  const live = ours(observed.deployment);
  const letsGo = live !== undefined && desired.spec?.replicas === undefined && ownsReplicas(live);
  // To drop a field that only we own would reset it to one pod: another manager holds its value first.
  const handover: readonly Action[] = letsGo
    ? [
        {
          kind: "apply",
          resource: kinds.deployment,
          object: {
            metadata: {
              namespace: live.metadata?.namespace ?? "",
              name: live.metadata?.name ?? "",
            },
            spec: { replicas: live.spec?.replicas ?? 1 },
          } as KubernetesObject,
          uid: live.metadata?.uid,
          manager: HANDOVER,
        },
      ]
    : [];
  return [...handover, ...applied(kinds.deployment, observed.deployment, desired, letsGo)];
}

/** Whether `spec.replicas` is among the fields that we applied (metadata.managedFields). */
function ownsReplicas(deployment: V1Deployment): boolean {
  return (deployment.metadata?.managedFields ?? []).some(({ manager, fieldsV1 }) => {
    if (manager !== MANAGER || typeof fieldsV1 !== "object") return false;
    const spec: unknown = Reflect.get(fieldsV1, "f:spec");
    return typeof spec === "object" && spec !== null && "f:replicas" in spec;
  });
}

function applied<T extends KubernetesObject>(
  resource: Kind<T>,
  slot: Slot<T>,
  desired: T,
  always = false,
): readonly Action[] {
  const live = ours(slot);
  const mark = hashOf(desired);
  const marked = {
    ...desired,
    metadata: {
      ...desired.metadata,
      annotations: { ...desired.metadata?.annotations, [annotations.applied]: mark },
    },
  };
  if (
    !always &&
    live?.metadata?.annotations?.[annotations.applied] === mark &&
    covers(live, desired)
  )
    return [];
  return [{ kind: "apply", resource, object: marked, uid: live?.metadata?.uid }];
}

function removed<T extends KubernetesObject>(resource: Kind<T>, slot: Slot<T>): readonly Action[] {
  return slot.state === "ours" ? [{ kind: "delete", resource, object: slot.object }] : [];
}

/** Whether all that we say of an object still stands in it. The API server adds defaults, which are no matter. */
export function covers(live: unknown, desired: unknown): boolean {
  if (Array.isArray(desired)) {
    return (
      Array.isArray(live) &&
      live.length === desired.length &&
      desired.every((element, index) => covers(live[index], element))
    );
  }
  if (typeof desired === "object" && desired !== null) {
    return (
      typeof live === "object" &&
      live !== null &&
      Object.entries(desired).every(
        ([key, value]) => value === undefined || covers(Reflect.get(live, key), value),
      )
    );
  }
  // Quantities may be written back in another unit ("0.5" as "500m").
  return (
    live === desired ||
    (typeof live === "string" &&
      typeof desired === "string" &&
      quantity(live) !== undefined &&
      quantity(live) === quantity(desired))
  );
}

const UNITS: Readonly<Record<string, number>> = {
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

function quantity(text: string): number | undefined {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti)?$/.exec(text) ?? [];
  // Whole thousandths, as Kubernetes keeps them.
  return number === "" ? undefined : Math.round(Number(number) * (UNITS[unit] ?? 1) * 1000);
}
