import { phaseOf, type Ledger } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";

/** The release that the stable set is to run: a candidate once its rollout has begun, else what is stable. */
export function targetOf({ candidate, stable }: Ledger): ReleaseRecord | undefined {
  return candidate !== undefined && phaseOf(candidate) === "RollingOut" ? candidate : stable;
}
