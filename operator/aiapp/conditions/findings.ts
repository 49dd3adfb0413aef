import type { Reason } from "../../../crds/conditions.ts";
import type { Observed } from "../observed.ts";
import type { Ledger } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import type { Autoscaler } from "../steps/autoscaler.ts";
import type { Conflict } from "../steps/conflict.ts";
import type { Trouble } from "../steps/diagnose.ts";
import type { PairFound } from "../steps/pair.ts";
import type { Releases } from "../steps/releases.ts";
import type { Rollout } from "../strategies/arrange.ts";
import type { Arrangement } from "../strategies/strategy.ts";
import type { SetState } from "../strategies/sets.ts";
import type { VerificationState } from "../steps/verification.ts";
import type { Wanted } from "../steps/wanted.ts";

/** All that conditions are derived from. */
export interface Findings {
  readonly observed: Observed;
  readonly pair: PairFound;
  readonly conflict: Conflict | undefined;
  readonly wanted: Wanted;
  readonly releases: Releases;
  /** As it will be once the plan's actions are done. */
  readonly ledger: Ledger;
  /** The release that is to serve. */
  readonly target: ReleaseRecord | undefined;
  readonly arrangement: Arrangement;
  readonly rollout: Rollout;
  /** The set that serves. */
  readonly serving: SetState;
  readonly trouble: Trouble | undefined;
  readonly verification: VerificationState | undefined;
  /** Undefined without one, and until it has reported. */
  readonly autoscaler: Autoscaler | undefined;
  /** What others have added to the pods of the Deployment; undefined while that cannot be said. */
  readonly unmanaged: readonly string[] | undefined;
  /** What policies have changed in owned objects; undefined while that cannot be said. */
  readonly overridden: readonly string[] | undefined;
  readonly now: number;
}

export interface Verdict {
  readonly status: "True" | "False" | "Unknown";
  readonly reason: Reason;
  readonly message: string;
}

/** A check gives a verdict, or leaves it to the next check of its chain. */
export type Check = (findings: Findings) => Verdict | undefined;

export function isTrue(reason: Reason, message: string): Verdict {
  return { status: "True", reason, message };
}

export function isFalse(reason: Reason, message: string): Verdict {
  return { status: "False", reason, message };
}
