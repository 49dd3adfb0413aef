import { annotations, containers, labels } from "../../../crds/names.ts";
import type { V1ContainerStatus, V1Job, V1Pod } from "../../kube/types.ts";
import { ours, type Observed } from "../observed.ts";
import { phaseOf } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { isOf, rejected, troubleIn, worst, type Trouble } from "./diagnose.ts";

/** How the verification of the candidate goes. */
export type VerificationState =
  | { readonly kind: "running"; readonly trouble: Trouble | undefined }
  | { readonly kind: "passed"; readonly message: string }
  | { readonly kind: "failed"; readonly trouble: Trouble };

const RUNNING: VerificationState = { kind: "running", trouble: undefined };

/** Counts from 1: entries of the phase that follow each other are attempts. */
export function attemptOf({ journal }: ReleaseRecord): number {
  const other = journal.findLastIndex(({ phase }) => phase !== "Verifying");
  return Math.max(1, journal.length - 1 - other);
}

/** Reads the Job and its pods. A Job of another release or attempt says nothing. */
export function readVerification(
  { owned, pods, rejectedPods }: Observed,
  candidate: ReleaseRecord | undefined,
): VerificationState | undefined {
  if (candidate === undefined || phaseOf(candidate) !== "Verifying") return undefined;
  const job = ours(owned.verification);
  if (job === undefined || !isOfAttempt(job, candidate)) return RUNNING;
  const own = pods.filter(
    (pod) =>
      isOf(pod, "verification", candidate.id) &&
      pod.metadata?.ownerReferences?.some(({ uid }) => uid === job.metadata?.uid) !== false,
  );
  if (hasCondition(job, "Complete") || own.some(hasPassed))
    return { kind: "passed", message: summaryOf(own) };
  if (hasCondition(job, "Failed")) {
    const cause = own.map(causeOf).find((one) => one !== undefined);
    // Jobs and pods have a watch each: the verdict of a pod that has not ended yet is about to come.
    if (cause === undefined && own.some(isRunning)) return RUNNING;
    return { kind: "failed", trouble: cause ?? lost(job) };
  }
  if (own.length === 0 && rejectedPods !== undefined)
    return { kind: "running", trouble: rejected(rejectedPods) };
  const trouble = worst(own.filter(({ status }) => status?.phase !== "Failed"));
  if (trouble !== undefined && !trouble.isPassing) return { kind: "failed", trouble };
  return { kind: "running", trouble };
}

/** The last container has succeeded. The Job is complete only once the server, which drains, has ended as well. */
function hasPassed({ status }: V1Pod): boolean {
  const ended = status?.containerStatuses ?? [];
  return ended.length > 0 && ended.every(({ state }) => state?.terminated?.exitCode === 0);
}

function isRunning({ status }: V1Pod): boolean {
  return status?.phase !== "Failed" && status?.phase !== "Succeeded";
}

function isOfAttempt({ metadata }: V1Job, candidate: ReleaseRecord): boolean {
  return (
    metadata?.labels?.[labels.release] === candidate.id &&
    metadata.annotations?.[annotations.attempt] === String(attemptOf(candidate))
  );
}

function hasCondition({ status }: V1Job, type: "Complete" | "Failed"): boolean {
  return status?.conditions?.some((one) => one.type === type && one.status === "True") ?? false;
}

/** What the last container said. */
function summaryOf(pods: readonly V1Pod[]): string {
  const ended = pods.flatMap(({ status }) => status?.containerStatuses ?? []);
  const message = ended.map(({ state }) => state?.terminated?.message?.trim()).find(Boolean);
  return message?.replace(/^Verified: /, "") ?? "the verification succeeded";
}

/** Why a finished pod failed. A server that crashed is the cause of what failed after it. */
function causeOf(pod: V1Pod): Trouble | undefined {
  const { status, metadata: { name = "" } = {} } = pod;
  if (status?.phase !== "Failed") return undefined;
  if (status.reason === "DeadlineExceeded") return timedOut(name, status.message);
  const initial = status.initContainerStatuses ?? [];
  const crashed = initial.find(
    ({ restartCount, lastState }) => restartCount > 0 && lastState?.terminated !== undefined,
  );
  const ended = [...initial, ...(status.containerStatuses ?? [])].find(hasFailed);
  const container = crashed === undefined ? ended : { ...crashed, state: crashed.lastState ?? {} };
  if (container === undefined) return takenAway(name, status.reason, status.message);
  const trouble = troubleIn(container, name);
  return (
    trouble && {
      ...trouble,
      isPassing: false,
      ...(couldNotRun(container) && { isInfrastructure: true }),
    }
  );
}

/** The samples container found nothing: it says so by its exit code. */
const COULD_NOT_RUN = 2;

function couldNotRun({ name, state }: V1ContainerStatus): boolean {
  return name === containers.samples && state?.terminated?.exitCode === COULD_NOT_RUN;
}

/** Sidecars are killed when the last container has ended: that is no failure. */
function hasFailed({ state }: V1ContainerStatus): boolean {
  const { exitCode = 0, reason } = state?.terminated ?? {};
  return exitCode !== 0 && (reason === "OOMKilled" || (exitCode !== 137 && exitCode !== 143));
}

function timedOut(pod: string, message = "its deadline passed"): Trouble {
  return {
    reason: "VerificationTimedOut",
    message: `the verification did not end in time (${message}): raise spec.verify.timeout, or find out what pod ${pod} waits for`,
    isPassing: false,
    isInfrastructure: false,
  };
}

/** Evicted, or its node shut down. */
function takenAway(pod: string, reason = "unknown", message = ""): Trouble {
  return {
    reason: "VerificationFailed",
    message: `pod ${pod} ended without a verdict: ${reason} ${message}`.trim(),
    isPassing: false,
    isInfrastructure: true,
  };
}

function lost({ status }: V1Job): Trouble {
  const why = status?.conditions?.find(({ type }) => type === "Failed");
  return {
    reason: "VerificationFailed",
    message: `the verification's pod is gone without a verdict: ${why?.message ?? "unknown"}`,
    isPassing: false,
    isInfrastructure: true,
  };
}
