import type { AIApp, Condition } from "../../crds/aiapp.ts";
import { containers, labels } from "../../crds/names.ts";
import { isChoice, isSortable } from "../versions.ts";

/** The command that shows more, or mends it. The condition's own message says what is wrong. */
export function hintFor({ reason }: Condition, { metadata, spec }: AIApp): string | undefined {
  const { name, namespace } = metadata;
  const pods = `--namespace ${namespace} --selector ${labels.app}=${name}`;
  const logs = (container: string): string =>
    `kubectl logs ${pods} --container ${container} --tail 20`;
  const secrets = `kubectl get secrets --namespace ${namespace}`;
  /** What the sources are read with: a Secret, or, when one of them has none and is not anonymous, the ServiceAccount. */
  const identity = (sources: readonly ("Storage" | "Registry")[]): string => {
    const { storage, registry, anonymous = [] } = spec.credentials ?? {};
    const byToken = sources.filter(
      (source) => (source === "Storage" ? storage : registry) === undefined,
    );
    if (byToken.length === 0) return secrets;
    if (byToken.every((source) => anonymous.includes(source))) {
      return byToken.length < sources.length
        ? secrets
        : `kubectl edit aiapp ${name} --namespace ${namespace}`;
    }
    return `kubectl describe serviceaccount ${spec.serviceAccountName ?? name} --namespace ${namespace}`;
  };
  const store = `${spec.model.store}/${spec.model.name}`;
  switch (reason) {
    case "ModelNotFound":
      return publishing(store, spec.modelVersion);
    case "ModelIncomplete":
      return `finish it: ${publishing(store, spec.modelVersion)}`;
    case "ModelMutated":
    case "ModelChecksumMismatch":
      return `publish the right files under a new version: aiapp publish <folder> --to ${store}/<version>`;
    case "DowngradeRefused":
      return `publish a newer one, or go back: kubectl edit aiapp ${name} --namespace ${namespace}`;
    case "ImageNotFound":
      return `push the image, or set spec.image: kubectl edit aiapp ${name} --namespace ${namespace}`;
    case "StorageAuthFailed":
      return identity(["Storage"]);
    case "RegistryAuthFailed":
      return identity(["Registry"]);
    case "CredentialsMissing":
      return identity(["Storage", "Registry"]);
    case "SecretInvalid":
    case "SecretNotFound":
      return secrets;
    case "ModelPullFailed":
      return logs(containers.pull);
    case "ModelLoadFailed":
    case "PodCrashing":
    case "PodNotReady":
      return logs(containers.server);
    case "PodUnschedulable":
    case "ImagePullFailed":
    case "PodOutOfMemory":
    case "MinimumReplicasUnavailable":
      return `kubectl describe pods ${pods}`;
    case "NoReplicas":
      return `kubectl scale aiapp/${name} --namespace ${namespace} --replicas 1`;
    case "Suspended":
      return `kubectl patch aiapp ${name} --namespace ${namespace} --type merge --patch '{"spec":{"suspend":false}}'`;
    default:
      return undefined;
  }
}

/** A command that can be pasted: publish refuses latest, and a shell would take a range for redirections. */
function publishing(store: string, modelVersion: string | number): string {
  const version = String(modelVersion).trim();
  if (isChoice(version)) return `aiapp publish <folder> --to ${store}/<version>`;
  return `aiapp publish <folder> --to ${store}/${version}${isSortable(version) ? "" : " --any-version"}`;
}
