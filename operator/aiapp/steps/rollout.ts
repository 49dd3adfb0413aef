import { labels } from "../../../crds/names.ts";
import { ours, type Observed } from "../observed.ts";

/** How far the Deployment is. */
export interface Rollout {
  /** The release that the Deployment's template names. */
  readonly deployedReleaseId: string | undefined;
  /** Every pod is of the Deployment's template, and serves. */
  readonly isSettled: boolean;
  /** What Kubernetes says when the Deployment makes no progress within its deadline. */
  readonly exceededDeadline: string | undefined;
  /** What the API server answers to pods of the Deployment that it rejects. */
  readonly rejectedPods: string | undefined;
  /** Set by `kubectl rollout pause`. */
  readonly isPaused: boolean;
  readonly replicas: {
    readonly wanted: number;
    readonly total: number;
    readonly updated: number;
    readonly available: number;
  };
}

export function readRollout({ owned }: Observed): Rollout {
  const deployment = ours(owned.deployment);
  const status = deployment?.status ?? {};
  // A status of an older generation describes another template.
  const isCurrent = (status.observedGeneration ?? -1) >= (deployment?.metadata?.generation ?? 0);
  const wanted = deployment?.spec?.replicas ?? 1;
  const total = status.replicas ?? 0;
  const updated = status.updatedReplicas ?? 0;
  const available = status.availableReplicas ?? 0;
  return {
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
    replicas: { wanted, total, updated, available },
  };
}

/** Whether a release is fully rolled out. */
export function isComplete({ deployedReleaseId, isSettled }: Rollout, id: string): boolean {
  return deployedReleaseId === id && isSettled;
}
