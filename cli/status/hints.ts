import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import type { Condition } from "../../crds/aiapp/status.ts";
import { isChoice } from "../../crds/grammar/selector.ts";
import { isSortable } from "../../crds/grammar/version-kind.ts";
import { containers, labels } from "../../crds/names.ts";
import { commandOf } from "../control/releases.ts";
import { shellWord } from "../shell.ts";

/** The command that shows more of a problem, or fixes it. The condition's own message describes the problem. */
export function hintFor({ reason }: Condition, app: AIApp): string | undefined {
  const { metadata, spec, status } = app;
  const name = shellWord(metadata.name);
  const namespace = shellWord(metadata.namespace);
  const pods = `--namespace ${namespace} --selector ${labels.app}=${name}`;
  // A release that fails is the candidate; the pods of the one before it have other logs.
  const release = status?.candidate?.id ?? status?.current?.id;
  const ofRelease = release === undefined ? "" : `,${labels.release}=${shellWord(release)}`;
  // The pods of a release that has been undone are gone; its journal has what they reported.
  const undone = status?.candidate === undefined ? status?.quarantined?.[0] : undefined;
  if (undone?.reason === reason) return commandOf(app, "history", undone.id);
  /** Of containers that ended: the running one, restarted a moment ago, has nothing to say yet. */
  const previousLogs = (container: string): string =>
    `kubectl logs ${pods}${ofRelease} --container ${container} --previous --ignore-errors --tail 20`;
  const secrets = `kubectl get secrets --namespace ${namespace}`;
  /** The identity that reads the sources: a Secret, or the ServiceAccount if one of them has none and is not anonymous. */
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
    return `kubectl describe serviceaccount ${shellWord(spec.serviceAccountName ?? name)} --namespace ${namespace}`;
  };
  const store = shellWord(`${spec.model.store}/${spec.model.name}`);
  switch (reason) {
    case "ModelNotFound":
      return publishCommand(store, spec.modelVersion);
    case "ModelIncomplete":
      return `finish the upload: ${publishCommand(store, spec.modelVersion)}`;
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
      return previousLogs(containers.pull);
    case "ModelLoadFailed":
    case "PodCrashing":
      return previousLogs(containers.server);
    case "PodNotReady":
    case "PodUnschedulable":
    case "ImagePullFailed":
    case "PodOutOfMemory":
    case "MinimumReplicasUnavailable":
      return `kubectl describe pods ${pods}`;
    case "ScalingInactive":
      return `kubectl describe horizontalpodautoscaler ${name} --namespace ${namespace}`;
    case "Settling":
    case "Scheduled":
      return commandOf(app, "release", "--now");
    case "AwaitingApproval":
      return commandOf(app, "approve");
    case "Verifying":
      return `kubectl describe pods ${pods},${labels.role}=verification`;
    case "RollingOut":
      return `kubectl get pods ${pods}${ofRelease}`;
    case "VerificationFailed":
    case "VerificationTimedOut":
    case "SamplesInvalid":
    case "ProgressDeadlineExceeded":
    case "Aborted":
      return commandOf(app, "history");
    case "Held":
      return commandOf(app, "resume");
    case "HoldInvalid":
      return `${commandOf(app, "rollback", "--to", "<release>")}, or ${commandOf(app, "resume")}`;
    case "NoReplicas":
      return `kubectl scale aiapp/${name} --namespace ${namespace} --replicas 1`;
    case "Suspended":
      return `kubectl patch aiapp ${name} --namespace ${namespace} --type merge --patch '{"spec":{"suspend":false}}'`;
    default:
      return undefined;
  }
}

/** A command that can be pasted: publish refuses latest, and a shell reads the `<` of a range as a redirection. */
function publishCommand(store: string, modelVersion: string | number): string {
  const version = String(modelVersion).trim();
  if (isChoice(version)) return `aiapp publish <folder> --to ${store}/<version>`;
  return `aiapp publish <folder> --to ${store}/${shellWord(version)}${isSortable(version) ? "" : " --any-version"}`;
}
