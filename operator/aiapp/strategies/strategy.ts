import type { AIAppSpec } from "../../../crds/aiapp/spec.ts";
import type { Ledger } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import type { SetName } from "../resources/owner.ts";
import type { Sets, SetState } from "./sets.ts";

/** All that a strategy decides on. */
export interface StrategyInput {
  readonly spec: AIAppSpec;
  readonly sets: Sets;
  readonly ledger: Ledger;
  /** Milliseconds. */
  readonly now: number;
}

/** What becomes of a set: it runs a release, stays as it is, or is deleted. */
export type DesiredSet =
  | {
      readonly record: ReleaseRecord;
      /** Undefined where an autoscaler owns the number of pods. */
      readonly replicas: number | undefined;
    }
  | "keep"
  | "retire";

/** What should exist now. */
export interface Arrangement {
  readonly sets: Readonly<Record<SetName, DesiredSet>>;
  /** The set that runs the target, or comes to run it. */
  readonly rollsOut: SetName;
  /** The set that the Service sends requests to. */
  readonly selects: SetName | "both";
  /** The set that the autoscaler scales, the budget protects and `status.replicas` counts. */
  readonly serving: SetName;
  /** Milliseconds: when something else should exist, though nothing happens. */
  readonly changesAt: number | undefined;
}

/** How the pods of one release are replaced by those of the next. Pure. */
export interface Strategy {
  /** What should exist. */
  readonly arrange: (input: StrategyInput) => Arrangement;
  /** Whether the set that rolls the target out serves, as far as it is settled. */
  readonly isServing: (sets: Sets, set: SetName) => boolean;
}

/**
 * The number of pods of the set that serves, where it is the operator's to say. A new Deployment starts with the least
 * that the autoscaler would give it; after that the number is the autoscaler's.
 */
export function servingReplicas(
  { replicas, autoscaling }: AIAppSpec,
  { exists }: SetState,
): number | undefined {
  if (autoscaling === undefined) return replicas ?? 1;
  return exists ? undefined : autoscaling.minReplicas;
}
