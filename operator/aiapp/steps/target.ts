import type { AIApp } from "../../../crds/aiapp/aiapp.ts";
import { phaseOf, type Ledger } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import type { Verification } from "../resources/verification.ts";
import { attemptOf, type VerificationState } from "./verification.ts";

/** The release that is to serve: a candidate once its rollout has begun, else what is stable. */
export function targetOf({ candidate, stable }: Ledger): ReleaseRecord | undefined {
  return candidate !== undefined && phaseOf(candidate) === "RollingOut" ? candidate : stable;
}

/** The release whose verification is to run beside the stable set. */
export function verificationOf({ candidate }: Ledger): Verification | undefined {
  return candidate !== undefined && phaseOf(candidate) === "Verifying"
    ? { record: candidate, attempt: attemptOf(candidate) }
    : undefined;
}

/**
 * The release that a pod of the stable set gives its place to, where there is none to spare (verify.placement InPlace).
 * Between two attempts the stable set has its place back.
 */
export function givesPlaceTo(
  { spec }: AIApp,
  { candidate, stable }: Ledger,
  verification: VerificationState | undefined,
): string | undefined {
  const isVerifying = candidate !== undefined && phaseOf(candidate) === "Verifying";
  return isVerifying &&
    stable !== undefined &&
    spec.verify?.placement === "InPlace" &&
    (spec.replicas ?? 1) > 0 &&
    verification?.kind !== "failed"
    ? candidate.id
    : undefined;
}
