import type { Phase } from "../../../crds/aiapp/status.ts";
import { reasons, type Reason } from "../../../crds/conditions.ts";
import { phaseOf } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { requestOf } from "../release/identity.ts";
import { isComplete } from "../strategies/arrange.ts";
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
  "NotAllowedByPolicy",
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

/** The phase that the candidate is in. */
export function candidatePhase({ ledger: { candidate } }: Findings): Phase | undefined {
  return candidate && phaseOf(candidate);
}

/** The release that spec and sources ask for has failed, and is not tried again. */
export function failedRequested({
  observed,
  wanted,
  ledger,
}: Findings):
  | { readonly record: ReleaseRecord; readonly reason: Reason; readonly message: string }
  | undefined {
  // While the sources are not known, the last answer to the same request stands.
  const request = requestOf(observed.app.spec);
  const record = ledger.all.find(({ id, request: chosenFor }) =>
    wanted.release === undefined ? chosenFor === request : id === wanted.release.id,
  );
  const last = record?.journal.at(-1);
  if (record === undefined || last?.phase !== "Failed") return undefined;
  const reason = reasons.find((known) => known === last.reason) ?? "VerificationFailed";
  const what = `release ${record.id} (model version ${record.modelVersion}) failed and is not tried again`;
  const why = [last.message, describeBlame(record)].filter(Boolean).join("; ");
  return { record, reason, message: `${what}: ${why}` };
}

export function describeBlame({ journal, modelVersion, image }: ReleaseRecord): string {
  switch (journal.at(-1)?.blame) {
    case undefined:
      return "";
    case "image":
      return `the code image ${image} is to blame`;
    case "model":
      return `model version ${modelVersion} is to blame`;
    case "combination":
      return `image and model fail only together: each passes with the other's running version`;
    case "both":
      return "image and model fail each by itself";
    case "template":
      return "what the spec says about the pods is to blame, not image or model";
  }
}

/** The spec asks for something else than when the stable release was chosen: what is found now is a user's change. */
export function isSpecChange({ ledger: { stable }, observed }: Findings): boolean {
  return stable?.request !== requestOf(observed.app.spec);
}

/** The target is fully rolled out. */
export function targetIsComplete({ target, rollout }: Findings): boolean {
  return target !== undefined && isComplete(rollout, target.id);
}

/** The target was chosen for what the spec asks now: while the sources are not known, nothing says otherwise. */
export function targetAnswersSpec({ target, observed }: Findings): boolean {
  return target?.request === requestOf(observed.app.spec);
}

/** What the candidate waits for before its rollout begins. */
export function describeWait({ releases: { gates } }: Findings): string | undefined {
  const { settled, approved, scheduled } = gates ?? {};
  for (const gate of [settled, approved, scheduled])
    if (gate !== undefined && !gate.isOpen) return gate.message;
  return undefined;
}

export function describeVerification({ ledger: { candidate }, verification }: Findings): string {
  const what = `release ${candidate?.id} (model version ${candidate?.modelVersion}) is being verified before it gets any request`;
  const trouble =
    verification?.kind === "failed" || verification?.kind === "running"
      ? verification.trouble
      : undefined;
  return trouble === undefined ? what : `${what}: ${trouble.message}`;
}

export function describeTarget({ target }: Findings): string {
  return target === undefined
    ? "nothing"
    : `release ${target.id} (model version ${target.modelVersion})`;
}

export function describeRollout(findings: Findings): string {
  const { note } = findings.arrangement;
  if (note !== undefined) return `${describeTarget(findings)} is rolling out: ${note}`;
  const { replicas, isServing } = findings.rollout;
  const { wanted, updated, available } = replicas;
  const ready = isServing ? `${available} serve` : `${available} are ready and get no requests yet`;
  return `${describeTarget(findings)} is rolling out: ${updated} of ${wanted} pods are updated, ${ready}`;
}
