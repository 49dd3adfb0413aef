import { phaseOf, type Ledger } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import type { Verification } from "../resources/verification.ts";
import { attemptOf } from "./verification.ts";

/** The release that the stable set is to run: a candidate once its rollout has begun, else what is stable. */
export function targetOf({ candidate, stable }: Ledger): ReleaseRecord | undefined {
  return candidate !== undefined && phaseOf(candidate) === "RollingOut" ? candidate : stable;
}

/** The release whose verification is to run beside the stable set. */
export function verificationOf({ candidate }: Ledger): Verification | undefined {
  return candidate !== undefined && phaseOf(candidate) === "Verifying"
    ? { record: candidate, attempt: attemptOf(candidate) }
    : undefined;
}
