import { GROUP } from "../../crds/names.ts";
import type {
  KubernetesObject,
  V1ContainerStatus,
  V1Deployment,
  V1ObjectMeta,
  V1Pod,
} from "../kube/types.ts";

/**
 * What the caches store of the objects that the operator watches: what decisions read, and no more. A pod is a tenth of
 * its size then, other objects a half. A decision that reads a further field of a pod adds it here.
 */

/** What a client keeps on an object for itself. */
const DROPPED = ["kubectl.kubernetes.io/last-applied-configuration"];

interface ManagedFieldsEntry {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly time?: Date | string;
  readonly fieldsV1?: object;
}

/** Drops managedFields and copies of the whole object in annotations. */
export function projectObject<T extends KubernetesObject>(object: T): T {
  return withMetadata(object, () => []);
}

/** Keeps of managedFields who set which of our annotations, and when. */
export function projectApp<T extends KubernetesObject>(app: T): T {
  return withMetadata(app, (fields) => {
    const annotations = memberOf(memberOf(fields, "f:metadata"), "f:annotations");
    const ours = Object.keys(annotations ?? {}).filter((key) => key.startsWith(`f:${GROUP}/`));
    if (ours.length === 0) return undefined;
    const kept = Object.fromEntries(ours.map((key) => [key, {}]));
    return { "f:metadata": { "f:annotations": kept } };
  });
}

/** Keeps of managedFields who owns `spec.replicas`. */
export function projectDeployment(deployment: V1Deployment): V1Deployment {
  return withMetadata(deployment, (fields) =>
    memberOf(memberOf(fields, "f:spec"), "f:replicas") === undefined
      ? undefined
      : { "f:spec": { "f:replicas": {} } },
  );
}

/** Keeps what says whose a pod is, where it runs, and why it does not serve. `spec.containers` is empty. */
export function projectPod({ apiVersion, kind, metadata, spec, status }: V1Pod): V1Pod {
  return withoutUndefined<V1Pod>({
    apiVersion,
    kind,
    metadata: withoutUndefined<V1ObjectMeta>({
      namespace: metadata?.namespace,
      name: metadata?.name,
      uid: metadata?.uid,
      resourceVersion: metadata?.resourceVersion,
      labels: metadata?.labels,
      ownerReferences: metadata?.ownerReferences,
      creationTimestamp: metadata?.creationTimestamp,
      deletionTimestamp: metadata?.deletionTimestamp,
    }),
    spec: withoutUndefined({ nodeName: spec?.nodeName, containers: [] }),
    status: withoutUndefined({
      phase: status?.phase,
      reason: status?.reason,
      message: status?.message,
      podIP: status?.podIP,
      conditions: status?.conditions?.map(({ type, status, reason, message }) =>
        withoutUndefined({ type, status, reason, message }),
      ),
      initContainerStatuses: status?.initContainerStatuses?.map(projectContainerStatus),
      containerStatuses: status?.containerStatuses?.map(projectContainerStatus),
    }),
  });
}

function projectContainerStatus(status: V1ContainerStatus): V1ContainerStatus {
  const { name, image, imageID, ready, restartCount, started, state, lastState } = status;
  return withoutUndefined<V1ContainerStatus>({
    name,
    image,
    imageID,
    ready,
    restartCount,
    started,
    state,
    lastState,
  });
}

/** @param project what is kept of an entry's fields; undefined drops the entry */
function withMetadata<T extends KubernetesObject>(
  object: T,
  project: (fields: unknown) => object | undefined,
): T {
  if (object.metadata === undefined) return object;
  const { managedFields, annotations, ...metadata } = object.metadata;
  const kept = Object.entries(annotations ?? {}).filter(([name]) => !DROPPED.includes(name));
  const entries = ((managedFields ?? []) as readonly ManagedFieldsEntry[]).flatMap((entry) => {
    const { manager, operation, subresource, time, fieldsV1 } = entry;
    const projected = project(fieldsV1);
    if (projected === undefined || Object.keys(projected).length === 0) return [];
    return [withoutUndefined({ manager, operation, subresource, time, fieldsV1: projected })];
  });
  return {
    ...object,
    metadata: {
      ...metadata,
      ...(kept.length > 0 && { annotations: Object.fromEntries(kept) }),
      ...(entries.length > 0 && { managedFields: entries }),
    },
  };
}

function memberOf(value: unknown, name: string): object | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const member: unknown = Reflect.get(value, name);
  return typeof member === "object" && member !== null ? member : undefined;
}

/** As the wire has it: a member without a value is absent. */
function withoutUndefined<T extends object>(value: { [K in keyof T]: T[K] | undefined }): T {
  // What is left out is optional in T, or the API server would not have left it out either.
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== undefined),
  ) as T;
}
