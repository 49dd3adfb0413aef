import type { Reason } from "../../../crds/conditions.ts";
import type { AIAppSpec } from "../../../crds/aiapp/spec.ts";
import type { Ledger } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import type { SetName } from "../resources/owner.ts";
import type { Measurement } from "./measurement.ts";
import type { Sets, SetState } from "./sets.ts";

/** All that a strategy decides on. */
export interface StrategyInput {
  readonly spec: AIAppSpec;
  readonly sets: Sets;
  readonly ledger: Ledger;
  /** Of the step of a canary that was followed last. */
  readonly measured: Measurement | undefined;
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
  /** How far it is, in words of the strategy's own. */
  readonly note?: string;
  /** Pods whose metrics are to be compared. */
  readonly measures?: {
    /** Another key begins another measurement. */
    readonly key: string;
    readonly stable: ReleaseRecord;
    readonly candidate: ReleaseRecord;
  };
}

/** What a strategy finds of a rollout, beside pods that fail: it may go on, or is worse than what serves. */
export type Judgement =
  | { readonly kind: "next"; readonly message: string }
  | { readonly kind: "worse"; readonly reason: Reason; readonly message: string };

/** How the pods of one release are replaced by those of the next. Pure. */
export interface Strategy {
  /** What should exist. */
  readonly arrange: (input: StrategyInput) => Arrangement;
  /** Whether the set that rolls the target out serves, as far as it is settled. */
  readonly isServing: (sets: Sets, set: SetName) => boolean;
  /** Whether the rollout goes on to a next step, or is worse. */
  readonly judge?: (input: StrategyInput) => Judgement | undefined;
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
