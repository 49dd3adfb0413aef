import type { AIApp } from "../../../crds/aiapp.ts";
import { API_VERSION, KIND, labels, MANAGER } from "../../../crds/names.ts";
import type { V1ObjectMeta, V1OwnerReference } from "../../kube/types.ts";

/** Ties an object to its AIApp: the API server clears it away with the app, and nobody else's is ever touched. */
export function ownerReference(app: AIApp): V1OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind: KIND,
    name: app.metadata.name,
    uid: app.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

export function ownedMetadata(
  app: AIApp,
  annotations: Readonly<Record<string, string>> = {},
): V1ObjectMeta {
  return {
    namespace: app.metadata.namespace,
    name: app.metadata.name,
    labels: identityLabels(app),
    ...(Object.keys(annotations).length > 0 && { annotations: { ...annotations } }),
    ownerReferences: [ownerReference(app)],
  };
}

export function identityLabels(app: AIApp): Record<string, string> {
  return {
    [labels.name]: app.metadata.name,
    [labels.managedBy]: MANAGER,
    [labels.app]: app.metadata.name,
  };
}

/** What selects the pods that take traffic. */
export function stableSelector(app: AIApp): Record<string, string> {
  return { [labels.app]: app.metadata.name, [labels.role]: "stable" };
}
