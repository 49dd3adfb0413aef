import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import type { Phase, ReleaseStatus } from "../../crds/aiapp/status.ts";
import { annotations } from "../../crds/names.ts";
import { CliError } from "../errors.ts";
import { shellWord } from "../shell.ts";

/** What status says about the releases of an AIApp. */

const waiting: readonly Phase[] = ["Settling", "AwaitingApproval", "Scheduled"];
const ended: readonly Phase[] = ["Released", "Failed", "Superseded"];

/** Nothing of it runs, and no verification has to end before its rollout. */
export function isWaiting({ phase }: ReleaseStatus): boolean {
  return waiting.includes(phase);
}

/** It is on its way: no other release begins before it ends. */
export function isOpen({ phase }: ReleaseStatus): boolean {
  return !ended.includes(phase);
}

/** Newest first, one of each id. An entry of `history` knows the phase; `current` and `previous` were Released once. */
export function releasesOf({ status }: AIApp): readonly ReleaseStatus[] {
  const { history = [], candidate, current, previous } = status ?? {};
  const all = [...history, candidate, current, previous].filter((one) => one !== undefined);
  return all.filter(({ id }, index) => all.findIndex((other) => other.id === id) === index);
}

export function findRelease(app: AIApp, id: string): ReleaseStatus | undefined {
  return releasesOf(app).find((release) => release.id === id);
}

/** The release that a user named. */
export function requireRelease(app: AIApp, id: string): ReleaseStatus {
  const found = findRelease(app, id);
  if (found !== undefined) return found;
  const known = releasesOf(app).map(({ id, phase }) => `${id} (${phase})`);
  throw new CliError(
    "ReleaseUnknown",
    `${describeApp(app)} has no release ${id}; it has ${known.join(", ") || "none yet"}`,
    `Show them: ${commandOf(app, "history")}.`,
  );
}

/** The release that a user holds. */
export function heldRelease({ metadata }: AIApp): string | undefined {
  return metadata.annotations?.[annotations.hold]?.trim() || undefined;
}

/** Whether the newest pair at the sources is the release's. Sources that are not known exclude nothing. */
export function isAtSources(app: AIApp, release: ReleaseStatus): boolean {
  const { image, model } = app.status?.sources ?? {};
  const matches = (seen: string | undefined, of: string): boolean =>
    seen === undefined || seen === of;
  return (
    matches(image?.digest, release.imageDigest) &&
    matches(model?.digest, release.modelDigest) &&
    matches(model?.seen, release.modelVersion)
  );
}

export function describeApp({ metadata }: AIApp): string {
  return `${metadata.name} in ${metadata.namespace}`;
}

export function describeRelease({ id, modelVersion, imageTag, image }: ReleaseStatus): string {
  return `release ${id} (image ${imageTag ?? image}, model version ${modelVersion})`;
}

/** A command of ours that can be pasted. */
export function commandOf({ metadata }: AIApp, verb: string, ...rest: readonly string[]): string {
  const words = ["aiapp", verb, metadata.name, ...rest, "--namespace", metadata.namespace];
  return words.map(shellWord).join(" ");
}
