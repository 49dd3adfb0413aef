import type {
  CoreV1Event,
  KubernetesObject,
  V1ControllerRevision,
  V1Deployment,
  V1Job,
  V1Lease,
  V1Pod,
  V1PodDisruptionBudget,
  V1ReplicaSet,
  V1Secret,
  V1Service,
  V1ServiceAccount,
  V2HorizontalPodAutoscaler,
} from "@kubernetes/client-node";

export type {
  CoreV1Event,
  KubernetesObject,
  V1Container,
  V1ContainerStatus,
  V1ControllerRevision,
  V1Deployment,
  V1EnvVar,
  V1Job,
  V1Lease,
  V1ObjectMeta,
  V1OwnerReference,
  V1Pod,
  V1PodDisruptionBudget,
  V1PodTemplateSpec,
  V1ReplicaSet,
  V1Secret,
  V1Service,
  V1ServiceAccount,
  V1Volume,
  V1VolumeMount,
  V2HorizontalPodAutoscaler,
} from "@kubernetes/client-node";

export interface WatchEvent<T> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  /** A BOOKMARK carries nothing but a resourceVersion. */
  readonly object: T;
}

/** Names a resource of the API; the type parameter is what its objects are. */
export interface Kind<T extends KubernetesObject = KubernetesObject> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  /** Only to carry T; never set. */
  readonly object?: T;
}

function kind<T extends KubernetesObject>(
  apiVersion: string,
  name: string,
  plural: string,
): Kind<T> {
  return { apiVersion, kind: name, plural };
}

export const kinds = {
  controllerRevision: kind<V1ControllerRevision>(
    "apps/v1",
    "ControllerRevision",
    "controllerrevisions",
  ),
  deployment: kind<V1Deployment>("apps/v1", "Deployment", "deployments"),
  event: kind<CoreV1Event>("v1", "Event", "events"),
  horizontalPodAutoscaler: kind<V2HorizontalPodAutoscaler>(
    "autoscaling/v2",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
  ),
  job: kind<V1Job>("batch/v1", "Job", "jobs"),
  lease: kind<V1Lease>("coordination.k8s.io/v1", "Lease", "leases"),
  namespace: kind<KubernetesObject>("v1", "Namespace", "namespaces"),
  pod: kind<V1Pod>("v1", "Pod", "pods"),
  podDisruptionBudget: kind<V1PodDisruptionBudget>(
    "policy/v1",
    "PodDisruptionBudget",
    "poddisruptionbudgets",
  ),
  replicaSet: kind<V1ReplicaSet>("apps/v1", "ReplicaSet", "replicasets"),
  secret: kind<V1Secret>("v1", "Secret", "secrets"),
  service: kind<V1Service>("v1", "Service", "services"),
  serviceAccount: kind<V1ServiceAccount>("v1", "ServiceAccount", "serviceaccounts"),
} as const;
