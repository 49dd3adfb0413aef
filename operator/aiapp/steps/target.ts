import { labels } from "../../../crds/names.ts";
import { parseReference, pinned } from "../../sources/reference.ts";
import { anyPuller, buildTemplate, type PullerSettings } from "../build/template.ts";
import { ours, type Observed } from "../observed.ts";
import { releaseId, type Pair, type Release, type ReleaseRecord } from "../release.ts";
import type { PairFound } from "./pair.ts";

export interface Target {
  /** What is to run: the newest release, or while that is unknown what runs already. */
  readonly release: Release | undefined;
  /** Whether `release` is what the sources and the spec ask for now. */
  readonly isNewest: boolean;
  /** The version folder was changed after a release was made of it: never released. */
  readonly mutated: string | undefined;
}

/** Which release is to run. */
export function decideTarget(
  observed: Observed,
  { pair }: PairFound,
  puller: PullerSettings,
): Target {
  const running = runningRelease(observed);
  if (pair === undefined) return { release: running, isNewest: false, mutated: undefined };
  const mutated = findMutation(observed, pair);
  if (mutated !== undefined) return { release: running, isNewest: false, mutated };
  return { release: makeRelease(observed, pair, puller), isNewest: true, mutated: undefined };
}

function makeRelease({ app, records }: Observed, pair: Pair, puller: PullerSettings): Release {
  const image = pinned(parseReference(pair.image), pair.imageDigest);
  const id = releaseId(pair, buildTemplate(app, pair, image, anyPuller));
  // As it was recorded: whatever the operator has learnt since, a release stays what it was.
  const recorded = records.find((record) => record.id === id);
  if (recorded !== undefined) return recorded;
  const { store, name } = app.spec.model;
  return { id, ...pair, model: { store, name }, template: buildTemplate(app, pair, image, puller) };
}

/** What the Deployment was last told to run, or else what was last released: kept up while nothing newer is known. */
function runningRelease(observed: Observed): ReleaseRecord | undefined {
  const told = ours(observed.deployment)?.spec?.template.metadata?.labels?.[labels.release];
  return observed.records.find(({ id }) => id === told) ?? currentRecord(observed.records);
}

/** The record that was released last. */
export function currentRecord(records: readonly ReleaseRecord[]): ReleaseRecord | undefined {
  return records
    .filter(({ releasedAt }) => releasedAt !== undefined)
    .toSorted((a, b) => a.revision - b.revision)
    .at(-1);
}

function findMutation({ app, records }: Observed, pair: Pair): string | undefined {
  const { store, name } = app.spec.model;
  const before = records.find(
    (record) =>
      record.modelVersion === pair.modelVersion &&
      record.model.store === store &&
      record.model.name === name &&
      record.modelDigest !== pair.modelDigest,
  );
  if (before === undefined) return undefined;
  return `${store}/${name}/${pair.modelVersion}/ was changed after it was released (${before.modelDigest.slice(0, 19)}… then, ${pair.modelDigest.slice(0, 19)}… now): publish the new files as a new version; what serves goes on serving`;
}
