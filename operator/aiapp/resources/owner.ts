import { API_VERSION, candidateName, KIND, labels, MANAGER } from "../../../crds/names.ts";
import type { V1ObjectMeta, V1OwnerReference } from "../../kube/types.ts";

/** The AIApp that an object belongs to: all that the metadata of owned objects needs of it. */
export interface Owner {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
  };
  readonly spec: {
    readonly labels?: Readonly<Record<string, string>> | undefined;
    readonly annotations?: Readonly<Record<string, string>> | undefined;
  };
}

/** The parts that a pod can play for its app. Selectors name one, and selectors cannot be changed. */
export type Role = "stable" | "candidate" | "verification";

/** The sets of pods that may serve, each of a Deployment. */
export type SetName = Extract<Role, "stable" | "candidate">;

export function otherSet(set: SetName): SetName {
  return set === "stable" ? "candidate" : "stable";
}

/** The name of a set's Deployment. */
export function setName({ metadata: { name } }: Pick<Owner, "metadata">, set: SetName): string {
  return set === "stable" ? name : candidateName(name);
}

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

/** @param own annotations of this object: they go before those of the spec */
export function ownedMetadata(
  owner: Owner,
  own: Readonly<Record<string, string>> = {},
): V1ObjectMeta {
  const { namespace, name } = owner.metadata;
  const annotations = { ...owner.spec.annotations, ...own };
  return {
    namespace,
    name,
    // What the operator finds its objects by cannot be changed.
    labels: { ...owner.spec.labels, ...identityLabels(owner) },
    ...(Object.keys(annotations).length > 0 && { annotations }),
    ownerReferences: [ownerReference(owner)],
  };
}

export function identityLabels({
  metadata: { name },
}: Pick<Owner, "metadata">): Record<string, string> {
  return {
    [labels.name]: name,
    [labels.managedBy]: MANAGER,
    [labels.app]: name,
  };
}

/** What selects the pods of one role: Deployments, the PodDisruptionBudget, `status.selector`. */
export function roleSelector(
  { metadata: { name } }: Pick<Owner, "metadata">,
  role: Role,
): Record<string, string> {
  return { [labels.app]: name, [labels.role]: role };
}

/** What selects the pods that take traffic: the Service. */
export function trafficSelector(
  { metadata: { name } }: Owner,
  selects: SetName | "both",
): Record<string, string> {
  return {
    [labels.app]: name,
    ...(selects !== "both" && { [labels.role]: selects }),
    [labels.traffic]: "true",
  };
}
