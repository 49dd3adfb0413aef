import { reasons, type Reason } from "../../../crds/conditions.ts";
import { labels } from "../../../crds/names.ts";
import type { V1ContainerStatus, V1Pod } from "../../kube/types.ts";
import { ours, type Observed } from "../observed.ts";
import type { Progress } from "./progress.ts";

/** Why the pods of the target do not come up. */
export interface Trouble {
  readonly reason: Reason;
  readonly message: string;
  /** Waiting may mend it: nothing is broken yet. */
  readonly passing: boolean;
}

/** Looks at the pods that should serve and do not; the most telling trouble wins. */
export function diagnose(observed: Observed, progress: Progress): Trouble | undefined {
  if (progress.isOut) return undefined;
  const told = ours(observed.deployment)?.spec?.template.metadata?.labels?.[labels.release];
  const troubles = observed.pods
    .filter((pod) => pod.metadata?.labels?.[labels.release] === told)
    .filter((pod) => pod.metadata?.deletionTimestamp === undefined)
    // Evicted, or done: another takes its place.
    .filter(({ status }) => status?.phase !== "Failed" && status?.phase !== "Succeeded")
    .flatMap((pod) => troubleOf(pod) ?? []);
  return troubles.find(({ passing }) => !passing) ?? troubles[0];
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
      message: `pod ${name} finds no node: ${unscheduled.message ?? ""}; add nodes or lower spec.resources`,
      passing: true,
    };
  }
  for (const status of pod.status?.initContainerStatuses ?? []) {
    const trouble = troubleIn(status, name, "ModelPullFailed");
    if (trouble !== undefined) return trouble;
  }
  for (const status of pod.status?.containerStatuses ?? []) {
    const trouble = troubleIn(status, name, "PodCrashing");
    if (trouble !== undefined) return trouble;
  }
  return undefined;
}

/** @param otherwise the reason for an end that names none itself */
function troubleIn(status: V1ContainerStatus, pod: string, otherwise: Reason): Trouble | undefined {
  const { waiting, terminated } = status.state ?? {};
  if (
    waiting?.reason === "ImagePullBackOff" ||
    waiting?.reason === "ErrImagePull" ||
    waiting?.reason === "InvalidImageName"
  ) {
    return {
      reason: "ImagePullFailed",
      message: `pod ${pod} cannot pull ${status.image}: ${waiting.message ?? waiting.reason}`,
      passing: false,
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
      passing: false,
    };
  }
  const ended = terminated ?? status.lastState?.terminated;
  // It is tried again this very moment, and for the first time.
  const passing = status.state?.running !== undefined && (status.restartCount ?? 0) <= 1;
  if (ended === undefined || ended.exitCode === 0 || status.ready) return undefined;
  if (ended.reason === "OOMKilled") {
    return {
      reason: "PodOutOfMemory",
      message: `container ${status.name} of pod ${pod} ran out of memory: raise spec.resources.limits.memory`,
      passing,
    };
  }
  const said = ended.message?.trim() ?? "";
  const named = reasonIn(said);
  return {
    reason: named?.reason ?? otherwise,
    message:
      named?.message ??
      `container ${status.name} of pod ${pod} ended with code ${ended.exitCode}${said === "" ? "" : `: ${lastLines(said)}`}`,
    passing,
  };
}

/** Our own containers end with `<Reason>: what happened, where, what to do`. */
function reasonIn(message: string): { reason: Reason; message: string } | undefined {
  const match = /^(?<reason>[A-Z][A-Za-z]+): (?<text>[^]+)$/.exec(message);
  const reason = reasons.find((known) => known === match?.groups?.["reason"]);
  return reason === undefined ? undefined : { reason, message: match?.groups?.["text"] ?? "" };
}

function lastLines(text: string): string {
  return text.split("\n").slice(-5).join("\n").slice(-1000);
}
