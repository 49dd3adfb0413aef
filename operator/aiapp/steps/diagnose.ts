import { reasons, type Reason } from "../../../crds/conditions.ts";
import { containers, labels } from "../../../crds/names.ts";
import type { V1ContainerStatus, V1Pod } from "../../kube/types.ts";
import type { Role } from "../resources/owner.ts";
import type { Observed } from "../observed.ts";
import type { Rollout } from "../strategies/arrange.ts";

/** Why the pods of a release do not become ready. */
export interface Trouble {
  readonly reason: Reason;
  readonly message: string;
  /** Nothing has to be changed: waiting may be enough. */
  readonly isPassing: boolean;
  /** It says nothing about the release: a node, the registry or the store is to blame. */
  readonly isInfrastructure: boolean;
}

/** Reads the pods that should serve and do not. A trouble that lasts goes before one that may pass. */
export function diagnose(
  { pods }: Observed,
  { set, deployedReleaseId, isSettled, rejectedPods }: Rollout,
): Trouble | undefined {
  if (isSettled) return undefined;
  if (rejectedPods !== undefined) return rejected(rejectedPods);
  return worst(
    pods
      .filter((pod) => isOf(pod, set, deployedReleaseId))
      // Evicted, or done: another pod takes its place.
      .filter(({ status }) => status?.phase !== "Failed" && status?.phase !== "Succeeded"),
  );
}

/**
 * The API server rejects the pods themselves: a quota, a LimitRange, Pod Security, a webhook that is down. It says nothing
 * about image and model, and clears once the cause is fixed.
 */
export function rejected(message: string): Trouble {
  return {
    reason: "PodsRejected",
    message: `the API server rejects the pods: ${message.slice(0, 1024)}; ${remedyOf(message)}`,
    isPassing: false,
    isInfrastructure: true,
  };
}

function remedyOf(message: string): string {
  if (/failed quota/.test(message))
    return "set what the quota asks for in spec.resources, or defaults in a LimitRange";
  if (/exceeded quota/.test(message)) return "raise the quota, or lower spec.resources";
  if (/PodSecurity/.test(message))
    return "correct spec.podTemplate, or the Pod Security level of the namespace";
  if (/serviceaccount/i.test(message))
    return "create the ServiceAccount, or correct spec.serviceAccountName";
  if (/webhook/.test(message)) return "see why the webhook does not respond";
  if (/minimum|maximum|limit/i.test(message)) return "set spec.resources within the LimitRange";
  return "correct what it names";
}

/** Of the pods of one release that are not being deleted. */
export function isOf({ metadata }: V1Pod, role: Role, release: string | undefined): boolean {
  return (
    metadata?.labels?.[labels.release] === release &&
    metadata?.labels?.[labels.role] === role &&
    metadata.deletionTimestamp === undefined
  );
}

export function worst(pods: readonly V1Pod[]): Trouble | undefined {
  const troubles = pods.flatMap((pod) => troubleOf(pod) ?? []);
  return troubles.find(({ isPassing }) => !isPassing) ?? troubles[0];
}

function troubleOf(pod: V1Pod): Trouble | undefined {
  const name = pod.metadata?.name ?? "";
  const unscheduled = pod.status?.conditions?.find(
    ({ type, status, reason }) =>
      type === "PodScheduled" && status === "False" && reason === "Unschedulable",
  );
  if (unscheduled !== undefined) {
    return {
      reason: "PodUnschedulable",
      message: `pod ${name} cannot be scheduled: ${unscheduled.message ?? ""}; add nodes or lower spec.resources`,
      isPassing: true,
      isInfrastructure: true,
    };
  }
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  for (const status of [...initContainerStatuses, ...containerStatuses]) {
    const trouble = troubleIn(status, name);
    if (trouble !== undefined) return trouble;
  }
  return undefined;
}

/** The reason for a container that terminated without naming one. */
function reasonWithout(container: string): Reason {
  if (container === containers.pull) return "ModelPullFailed";
  const decides = container === containers.samples || container === containers.job;
  return decides ? "VerificationFailed" : "PodCrashing";
}

export function troubleIn(status: V1ContainerStatus, pod: string): Trouble | undefined {
  const { waiting, terminated } = status.state ?? {};
  if (
    waiting?.reason === "ImagePullBackOff" ||
    waiting?.reason === "ErrImagePull" ||
    waiting?.reason === "InvalidImageName"
  ) {
    return {
      reason: "ImagePullFailed",
      message: `pod ${pod} cannot pull ${status.image}: ${waiting.message ?? waiting.reason}`,
      isPassing: false,
      isInfrastructure: !isRejectedPull(waiting.message ?? waiting.reason),
    };
  }
  if (
    waiting?.reason === "CreateContainerConfigError" ||
    waiting?.reason === "CreateContainerError" ||
    waiting?.reason === "RunContainerError"
  ) {
    return {
      reason: "PodCrashing",
      message: `pod ${pod} cannot start container ${status.name}: ${waiting.message ?? waiting.reason}`,
      isPassing: false,
      isInfrastructure: false,
    };
  }
  const ended = terminated ?? status.lastState?.terminated;
  // The kubelet has just restarted it, for the first time.
  const isPassing = status.state?.running !== undefined && (status.restartCount ?? 0) <= 1;
  if (ended === undefined || ended.exitCode === 0 || status.ready) return undefined;
  if (ended.reason === "OOMKilled") {
    return {
      reason: "PodOutOfMemory",
      message: `container ${status.name} of pod ${pod} ran out of memory: raise spec.resources.limits.memory`,
      isPassing,
      isInfrastructure: false,
    };
  }
  const text = ended.message?.trim() ?? "";
  const named = reasonIn(text);
  return {
    reason: named?.reason ?? reasonWithout(status.name),
    message:
      named?.message ??
      `container ${status.name} of pod ${pod} terminated with exit code ${ended.exitCode}${text === "" ? "" : `: ${lastLines(text)}`}`,
    isPassing,
    isInfrastructure: status.name === containers.pull && !modelFaults.has(named?.reason),
  };
}

/** What the pull container reports of the model itself. Everything else is the store, the network or the node. */
const modelFaults: ReadonlySet<Reason | undefined> = new Set<Reason>([
  "ModelChecksumMismatch",
  "ModelMutated",
  "ModelNotFound",
  "ModelIncomplete",
  "BadManifest",
]);

/** The registry has answered, and says that there is no such image for this node or this identity. */
function isRejectedPull(message: string): boolean {
  return /not found|manifest unknown|no match for platform|unauthorized|denied|forbidden|InvalidImageName|invalid reference/i.test(
    message,
  );
}

/** The project's own containers end with `<Reason>: what happened, where, what to do`. */
function reasonIn(message: string): { reason: Reason; message: string } | undefined {
  const match = /^(?<reason>[A-Z][A-Za-z]+): (?<text>[^]+)$/.exec(message);
  const reason = reasons.find((known) => known === match?.groups?.["reason"]);
  return reason === undefined ? undefined : { reason, message: match?.groups?.["text"] ?? "" };
}

function lastLines(text: string): string {
  return text.split("\n").slice(-5).join("\n").slice(-1000);
}
