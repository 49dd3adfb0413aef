import { labels } from "../../../crds/names.ts";
import { ours, type Observed } from "../observed.ts";
import type { ReleaseRecord } from "../release.ts";
import { currentRecord, type Target } from "./target.ts";

/** How far the target's rollout is. */
export interface Progress {
  /** The last release that was fully out. */
  readonly current: ReleaseRecord | undefined;
  /** Every pod is of the target, and serves. */
  readonly isOut: boolean;
  readonly replicas: {
    readonly wanted: number;
    readonly total: number;
    readonly updated: number;
    readonly available: number;
  };
}

export function judgeProgress({ deployment, records }: Observed, { release }: Target): Progress {
  const object = ours(deployment);
  const status = object?.status ?? {};
  // A status of an older generation speaks of another template.
  const isCurrent = (status.observedGeneration ?? -1) >= (object?.metadata?.generation ?? 0);
  const told = object?.spec?.template.metadata?.labels?.[labels.release];
  const replicas = {
    wanted: object?.spec?.replicas ?? 1,
    total: status.replicas ?? 0,
    updated: status.updatedReplicas ?? 0,
    available: status.availableReplicas ?? 0,
  };
  const { wanted, total, updated, available } = replicas;
  return {
    current: currentRecord(records),
    isOut:
      object !== undefined &&
      release !== undefined &&
      told === release.id &&
      isCurrent &&
      updated >= wanted &&
      total === updated &&
      available >= wanted,
    replicas,
  };
}
