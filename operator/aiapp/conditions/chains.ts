import { annotations } from "../../../crds/names.ts";
import { reasonOf } from "../../errors.ts";
import {
  candidatePhase,
  describeRollout,
  describeTarget,
  describeVerification,
  describeWait,
  failedRequested,
  targetAnswersSpec,
  targetIsComplete,
  whyNotChosen,
} from "./facts.ts";
import { setSlots } from "../resources/owned.ts";
import { setName } from "../resources/owner.ts";
import { ours } from "../observed.ts";
import { isFalse, isTrue, type Check, type Findings, type Verdict } from "./findings.ts";
import {
  keptAlone,
  pullImageGone,
  recordedImageGone,
  recordedModelGone,
  recoverable,
} from "./recoverable.ts";

/**
 * Each condition is a chain of named checks: the first one that gives a verdict decides. A check that means the same in
 * two chains is one function.
 */

export const nameConflict: Check = ({ conflict }) =>
  conflict && isFalse("NameConflict", conflict.message);

export const refused: Check = ({ wanted: { refusal } }) =>
  refusal && isFalse(refusal.reason, refusal.message);

export const podsFailing: Check = ({ trouble }) =>
  trouble && isFalse(trouble.reason, trouble.message);

export const rollingOut: Check = (findings) => isFalse("RollingOut", describeRollout(findings));

/** Not knowing the sources is no reason to take back what holds for the same spec. */
export const sourcesUnknown: Check = (findings) => {
  const { waiting } = findings.pair;
  return waiting === undefined || targetAnswersSpec(findings)
    ? undefined
    : isFalse(waiting.reason, waiting.message);
};

export const suspended: Check = ({ observed: { app }, trouble }) => {
  if (!app.spec.suspend) return undefined;
  const beside = trouble === undefined ? "" : `; meanwhile: ${trouble.message}`;
  return isFalse("Suspended", `spec.suspend is true: set it to false to release${beside}`);
};

export const suspendedBeforePolling: Check = (findings) =>
  findings.pair.waiting === undefined ? undefined : suspended(findings);

/** The stable set runs what the spec and the sources ask for, as far as they are known. */
export const targetReleased: Check = (findings) => {
  const { wanted, target } = findings;
  const isWanted = wanted.release === undefined || wanted.release.id === target?.id;
  return isWanted && targetIsComplete(findings)
    ? isTrue("Released", `${describeTarget(findings)} is fully rolled out`)
    : undefined;
};

export const replicasServe: Check = ({ serving: { replicas } }) =>
  replicas.available > 0
    ? isTrue("MinimumReplicasAvailable", `${replicas.available} of ${replicas.wanted} pods serve`)
    : undefined;

/** The Deployment is as it should be, and has no pods because the spec says so. */
export const scaledToZero =
  (verdict: (reason: "NoReplicas", message: string) => Verdict): Check =>
  (findings) =>
    targetIsComplete(findings) && findings.rollout.replicas.wanted === 0
      ? verdict("NoReplicas", "spec.replicas is 0")
      : undefined;

/** With one pod and no place beside it, nothing serves while the next release is verified (verify.placement InPlace). */
export const gavePlace: Check = ({ observed: { owned }, arrangement, serving: { replicas } }) => {
  const live = ours(owned[setSlots[arrangement.serving]]);
  const id = live?.metadata?.annotations?.[annotations.givesPlaceTo];
  return id === undefined || replicas.wanted > 0
    ? undefined
    : isFalse(
        "Verifying",
        `no pod serves: the only one gave its place to the verification of release ${id} (spec.verify.placement is InPlace)`,
      );
};

export const stableServes: Check = ({ ledger: { stable }, serving }) =>
  stable !== undefined && serving.replicas.available > 0
    ? isTrue("Serving", `release ${stable.id} (model version ${stable.modelVersion}) serves`)
    : undefined;

export const nothingToRun: Check = (findings) => {
  const { target, ledger } = findings;
  const isEmpty = target === undefined && ledger.candidate === undefined;
  const why = isEmpty ? whyNotChosen(findings) : undefined;
  return why && isFalse(why.reason, why.message);
};

/** An outage: there is a release that should serve, and no pod of it does. */
export const outage: Check = ({ ledger: { stable }, serving, rollout, arrangement, trouble }) => {
  if (stable === undefined || serving.replicas.available > 0) return undefined;
  const what = `no pod of the current release ${stable.id} serves`;
  return trouble === undefined || rollout.set !== arrangement.serving
    ? isFalse("MinimumReplicasUnavailable", `${what}: its pods are not ready yet`)
    : isFalse(trouble.reason, `${what}: ${trouble.message}`);
};

/** The operator leaves a Deployment paused that a person has paused. */
export const rolloutPaused: Check = (findings) =>
  findings.rollout.isPaused && !targetIsComplete(findings)
    ? isFalse(
        "RolloutPaused",
        `the Deployment is paused: resume it with kubectl rollout resume deployment/${setName(findings.observed.app, findings.rollout.set)}`,
      )
    : undefined;

export const sourceFails: Check = ({ observed: { image, model } }) => {
  const failing = [image, model].flatMap(({ error }) => (error === undefined ? [] : [error]));
  const [first] = failing;
  if (first === undefined) return undefined;
  const message = [...new Set(failing.map(({ message }) => message))].join("; ");
  return isFalse(reasonOf(first.code) ?? "WaitingForSources", message);
};

export const sourcesPolled: Check = ({ observed: { image, model } }) =>
  image.value !== undefined && model.value !== undefined
    ? isTrue("Polled", "the registry and the model store respond")
    : {
        status: "Unknown",
        reason: "WaitingForSources",
        message: "waiting for the first poll of the registry and the model store",
      };

/** A person holds a release: automation does not move past it. */
export const held: Check = ({ releases: { choice }, observed }) => {
  if (choice.as !== "held") return undefined;
  const id = observed.app.metadata.annotations?.[annotations.hold] ?? "";
  return choice.invalidHold === undefined
    ? isFalse("Held", `release ${id} is held: remove the annotation ${annotations.hold} to go on`)
    : isFalse(
        "HoldInvalid",
        `the annotation ${annotations.hold} names ${id}: ${choice.invalidHold}; name another release, or remove it`,
      );
};

/** It has been found, and something has to happen before its rollout. */
export const candidateWaits: Check = (findings) => {
  const phase = candidatePhase(findings);
  if (phase !== "Settling" && phase !== "AwaitingApproval" && phase !== "Scheduled")
    return undefined;
  const { scheduled } = findings.releases.gates ?? {};
  const reason = phase === "Scheduled" && scheduled?.isOpen === false && scheduled.reason;
  const message = describeWait(findings) ?? `the next release is ${phase}`;
  return isFalse(reason || phase, message);
};

export const verifying: Check = (findings) =>
  candidatePhase(findings) === "Verifying"
    ? isFalse("Verifying", describeVerification(findings))
    : undefined;

export const requestedFailed: Check = (findings) => {
  const failed = findings.ledger.candidate === undefined ? failedRequested(findings) : undefined;
  return failed && isFalse(failed.reason, failed.message);
};

/** Webhooks fail by themselves: nothing else depends on them. */
export const notificationFails: Check = ({ observed: { deliveries } }) => {
  const [first] = deliveries.failing;
  if (first === undefined) return undefined;
  const message = deliveries.failing
    .map(({ name, message }) => `notification ${name}: ${message}`)
    .join("; ");
  return isFalse(reasonOf(first.code) ?? "NotificationFailed", message);
};

export const notificationsDelivered: Check = () =>
  isTrue("NotificationsDelivered", "no webhook of spec.notifications fails");

/** Without metrics the number of pods stays as it is, whatever the load. */
export const scaling: Check = ({ autoscaler }) => {
  if (autoscaler === undefined || autoscaler.graceUntil !== undefined) return undefined;
  return autoscaler.isActive
    ? isTrue("ScalingActive", autoscaler.message)
    : isFalse(
        "ScalingInactive",
        `the HorizontalPodAutoscaler does not scale: ${autoscaler.message}`,
      );
};

export const chains = {
  Ready: [
    nameConflict,
    stableServes,
    gavePlace,
    scaledToZero(isTrue),
    outage,
    podsFailing,
    nothingToRun,
    candidateWaits,
    verifying,
    requestedFailed,
    suspended,
    rollingOut,
  ],
  Available: [
    replicasServe,
    gavePlace,
    scaledToZero(isFalse),
    () => isFalse("MinimumReplicasUnavailable", "no pod serves"),
  ],
  Released: [
    nameConflict,
    refused,
    suspendedBeforePolling,
    sourcesUnknown,
    targetReleased,
    held,
    candidateWaits,
    verifying,
    requestedFailed,
    suspended,
    rolloutPaused,
    podsFailing,
    rollingOut,
  ],
  SourcesReady: [sourceFails, sourcesPolled],
  Recoverable: [recordedImageGone, recordedModelGone, pullImageGone, keptAlone, recoverable],
  Notified: [notificationFails, notificationsDelivered],
} as const satisfies Readonly<Record<string, readonly Check[]>>;

/** The verdict of a chain; every chain ends in a check that always gives one. */
export function decide(checks: readonly Check[], findings: Findings): Verdict {
  for (const check of checks) {
    const verdict = check(findings);
    if (verdict !== undefined) return verdict;
  }
  throw new TypeError("a chain of checks must end in one that always gives a verdict");
}
