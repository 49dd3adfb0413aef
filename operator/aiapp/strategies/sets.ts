import { annotations, labels } from "../../../crds/names.ts";
import type { V1Deployment } from "../../kube/types.ts";
import { ours, type Observed } from "../observed.ts";
import { RETIRED } from "../resources/deployment.ts";
import type { SetName } from "../resources/owner.ts";

/** How far one Deployment is. */
export interface SetState {
  readonly exists: boolean;
  /** The release that the Deployment's template names. */
  readonly deployedReleaseId: string | undefined;
  /** Every pod is of the Deployment's template, and is ready. */
  readonly isSettled: boolean;
  /** What Kubernetes says when the Deployment makes no progress within its deadline. */
  readonly exceededDeadline: string | undefined;
  /** What the API server answers to pods of the Deployment that it rejects. */
  readonly rejectedPods: string | undefined;
  /** Set by `kubectl rollout pause`. */
  readonly isPaused: boolean;
  /** About to be deleted: no requests go to it. */
  readonly isRetired: boolean;
  readonly replicas: {
    readonly wanted: number;
    readonly total: number;
    readonly updated: number;
    readonly available: number;
    readonly ready: number;
  };
}

/** The sets of pods that an app may have, as they were observed. */
export interface Sets {
  readonly stable: SetState;
  readonly candidate: SetState;
  /** The set that the Service sends requests to; undefined without a Service. */
  readonly selected: SetName | "both" | undefined;
}

export function readSets({ owned }: Observed): Sets {
  const selector = ours(owned.service)?.spec?.selector;
  return {
    stable: readSet(ours(owned.deployment)),
    candidate: readSet(ours(owned.candidateDeployment)),
    selected: selector && selectedBy(selector[labels.role]),
  };
}

function selectedBy(role: string | undefined): SetName | "both" {
  return role === "stable" || role === "candidate" ? role : "both";
}

function readSet(deployment: V1Deployment | undefined): SetState {
  const status = deployment?.status ?? {};
  // A status of an older generation describes another template.
  const isCurrent = (status.observedGeneration ?? -1) >= (deployment?.metadata?.generation ?? 0);
  const wanted = deployment?.spec?.replicas ?? 1;
  const total = status.replicas ?? 0;
  const updated = status.updatedReplicas ?? 0;
  const available = status.availableReplicas ?? 0;
  return {
    exists: deployment !== undefined && deployment.metadata?.deletionTimestamp === undefined,
    deployedReleaseId: deployment?.spec?.template.metadata?.labels?.[labels.release],
    isSettled:
      deployment !== undefined &&
      isCurrent &&
      updated >= wanted &&
      total === updated &&
      available >= wanted,
    exceededDeadline: isCurrent
      ? status.conditions?.find(
          ({ type, reason }) => type === "Progressing" && reason === "ProgressDeadlineExceeded",
        )?.message
      : undefined,
    rejectedPods: status.conditions?.find(
      ({ type, status }) => type === "ReplicaFailure" && status === "True",
    )?.message,
    isPaused: deployment?.spec?.paused === true,
    isRetired: deployment?.metadata?.annotations?.[annotations.applied] === RETIRED,
    replicas: { wanted, total, updated, available, ready: status.readyReplicas ?? 0 },
  };
}
