import type { Reason } from "../../../crds/conditions.ts";
import { requestOf } from "../release/identity.ts";
import { isComplete } from "../steps/rollout.ts";
import type { Findings } from "./findings.ts";

/** Questions that several checks ask. */

/** Waiting does not help with these: a person must change something. */
const needsUser: ReadonlySet<Reason> = new Set([
  "ImageNotFound",
  "ModelNotFound",
  "BadManifest",
  "AmbiguousVersions",
  "ModelMutated",
  "DowngradeRefused",
  "TooManyTags",
  "RegistryAuthFailed",
  "StorageAuthFailed",
  "SecretNotFound",
  "SecretInvalid",
  "CredentialsMissing",
  "HostNotAllowed",
  "InvalidSpec",
]);

/** Why no release can be chosen now. */
export function whyNotChosen({
  wanted,
  pair,
}: Findings):
  | { readonly reason: Reason; readonly message: string; readonly needsUser: boolean }
  | undefined {
  const why = wanted.refusal ?? pair.waiting;
  return why && { ...why, needsUser: needsUser.has(why.reason) };
}

/** The target is fully rolled out. */
export function targetIsComplete({ target, rollout }: Findings): boolean {
  return target !== undefined && isComplete(rollout, target.id);
}

/** The target was chosen for what the spec asks now: while the sources are not known, nothing says otherwise. */
export function targetAnswersSpec({ target, observed }: Findings): boolean {
  return target?.request === requestOf(observed.app.spec);
}

export function describeTarget({ target }: Findings): string {
  return target === undefined
    ? "nothing"
    : `release ${target.id} (model version ${target.modelVersion})`;
}

export function describeRollout(findings: Findings): string {
  const { wanted, updated, available } = findings.rollout.replicas;
  return `${describeTarget(findings)} is rolling out: ${updated} of ${wanted} pods are updated, ${available} serve`;
}
