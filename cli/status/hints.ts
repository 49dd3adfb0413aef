import type { AIApp, Condition } from "../../crds/aiapp.ts";
import { containers, labels } from "../../crds/names.ts";

/** The command that shows more, or mends it. The condition's own message says what is wrong. */
export function hintFor({ reason }: Condition, { metadata, spec }: AIApp): string | undefined {
  const { name, namespace } = metadata;
  const pods = `--namespace ${namespace} --selector ${labels.app}=${name}`;
  const logs = (container: string): string =>
    `kubectl logs ${pods} --container ${container} --tail 20`;
  const store = `${spec.model.store}/${spec.model.name}`;
  switch (reason) {
    case "ModelNotFound":
      return `aiapp publish <folder> --to ${store}/${spec.modelVersion}`;
    case "ModelIncomplete":
      return `finish it: aiapp publish <folder> --to ${store}/${spec.modelVersion}`;
    case "ModelMutated":
    case "ModelChecksumMismatch":
      return `publish the right files under a new version: aiapp publish <folder> --to ${store}/<version>`;
    case "DowngradeRefused":
      return `publish a newer one, or go back: kubectl edit aiapp ${name} --namespace ${namespace}`;
    case "ImageNotFound":
      return `push the image, or set spec.image: kubectl edit aiapp ${name} --namespace ${namespace}`;
    case "StorageAuthFailed":
    case "RegistryAuthFailed":
    case "CredentialsMissing":
    case "SecretInvalid":
    case "SecretNotFound":
      return `kubectl get secrets --namespace ${namespace}`;
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
