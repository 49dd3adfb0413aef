import { API_VERSION, KIND, labels, MANAGER } from "../../../crds/names.ts";
import type { V1ObjectMeta, V1OwnerReference } from "../../kube/types.ts";

/** The AIApp that an object belongs to: all that owned objects need of its metadata. */
export interface Owner {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
  };
}

/** The parts that a pod can play for its app. Selectors name one, and selectors cannot be changed. */
export type Role = "stable" | "candidate" | "verification";

/** Ties an object to its AIApp: the API server deletes it with the app, and no other object is touched. */
export function ownerReference({ metadata: { name, uid } }: Owner): V1OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind: KIND,
    name,
    uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

export function ownedMetadata(
  owner: Owner,
  annotations: Readonly<Record<string, string>> = {},
): V1ObjectMeta {
  const { namespace, name } = owner.metadata;
  return {
    namespace,
    name,
    labels: identityLabels(owner),
    ...(Object.keys(annotations).length > 0 && { annotations: { ...annotations } }),
    ownerReferences: [ownerReference(owner)],
  };
}

export function identityLabels({ metadata: { name } }: Owner): Record<string, string> {
  return {
    [labels.name]: name,
    [labels.managedBy]: MANAGER,
    [labels.app]: name,
  };
}

/** What selects the pods of one role: Deployments, the PodDisruptionBudget, `status.selector`. */
export function roleSelector({ metadata: { name } }: Owner, role: Role): Record<string, string> {
  return { [labels.app]: name, [labels.role]: role };
}

/** What selects the pods that take traffic, whatever their role: the Service. */
export function trafficSelector({ metadata: { name } }: Owner): Record<string, string> {
  return { [labels.app]: name, [labels.traffic]: "true" };
}
