import type { Reason } from "../../../crds/conditions.ts";
import { labels } from "../../../crds/names.ts";
import { parseReference, pinned } from "../../sources/reference.ts";
import { tagOrder } from "../../sources/tags.ts";
import { isOlder, parseSelector } from "../../sources/versions.ts";
import { anyPuller, buildTemplate, type PullerSettings } from "../resources/template.ts";
import { ours, type Observed } from "../observed.ts";
import { isTemplate, releaseId, type Pair, type Release, type ReleaseRecord } from "../release.ts";
import type { PairFound } from "./pair.ts";

export interface Target {
  /** What is to run: the newest release, or while that is unknown what runs already. */
  readonly release: Release | undefined;
  /** Whether `release` is what the sources and the spec ask for now. */
  readonly isNewest: boolean;
  /** Why what the sources show now is not released, whatever the spec asks for. */
  readonly refusal: Refusal | undefined;
}

export interface Refusal {
  readonly reason: Extract<Reason, "ModelMutated" | "DowngradeRefused" | "InvalidSpec">;
  readonly message: string;
}

/** Which release is to run. */
export function decideTarget(
  observed: Observed,
  { pair }: PairFound,
  puller: PullerSettings,
): Target {
  const running = runningRelease(observed);
  if (pair === undefined) return { release: running, isNewest: false, refusal: undefined };
  const refusal = findMutation(observed, pair) ?? findDowngrade(observed, pair);
  if (refusal !== undefined) return { release: running, isNewest: false, refusal };
  const release = makeRelease(observed, pair, puller);
  if (!isTemplate(release.template)) {
    const message =
      "spec.podTemplate is no partial PodTemplateSpec: containers and initContainers must be lists, and each container needs a name; correct it and apply again";
    return { release: running, isNewest: false, refusal: { reason: "InvalidSpec", message } };
  }
  return { release, isNewest: true, refusal: undefined };
}

function makeRelease({ app, records }: Observed, pair: Pair, puller: PullerSettings): Release {
  const image = pinned(parseReference(pair.image), pair.imageDigest);
  const id = releaseId(pair, buildTemplate(app, pair, image, anyPuller));
  // As it was recorded, but for its name: whatever the operator has learnt since, a release stays what it was.
  const recorded = records.find((record) => record.id === id);
  if (recorded !== undefined) return { ...recorded, image: pair.image };
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

/** The version folder was changed after a release was made of it. */
function findMutation({ app, records }: Observed, pair: Pair): Refusal | undefined {
  const { store, name } = app.spec.model;
  const before = records.find(
    (record) =>
      record.modelVersion === pair.modelVersion &&
      record.model.store === store &&
      record.model.name === name &&
      record.modelDigest !== pair.modelDigest,
  );
  if (before === undefined) return undefined;
  return {
    reason: "ModelMutated",
    message: `${store}/${name}/${pair.modelVersion}/ was changed after it was released (${before.modelDigest.slice(0, 19)}… then, ${pair.modelDigest.slice(0, 19)}… now): publish the new files as a new version; what serves goes on serving`,
  };
}

/**
 * What was released last is gone from its source, and the newest that is left is older: whoever cleaned up did not ask
 * for a rollback. A change of the spec that leaves the newer one out does.
 */
function findDowngrade({ app, records }: Observed, pair: Pair): Refusal | undefined {
  const current = currentRecord(records);
  if (current === undefined) return undefined;
  // The same under an older name.
  if (pair.imageDigest === current.imageDigest && pair.modelDigest === current.modelDigest)
    return undefined;
  const refuse = (field: string, from: string, to: string): Refusal => ({
    reason: "DowngradeRefused",
    message: `${from}, which was released, is not found any more, and the newest that is left is ${to}, which is older: publish a newer one, or name ${to} in ${field} to go back; what serves goes on serving, and until then nothing else of its pods is changed`,
  });
  const { model, modelVersion, imagePolicy } = app.spec;
  if (
    current.model.store === model.store &&
    current.model.name === model.name &&
    isOlder(pair.modelVersion, current.modelVersion, parseSelector(modelVersion), model.order)
  ) {
    const folder = `${model.store}/${model.name}`;
    return refuse("spec.modelVersion", `${folder}/${current.modelVersion}`, pair.modelVersion);
  }
  const [from, to] = [parseReference(current.image), parseReference(pair.image)];
  if (
    imagePolicy !== undefined &&
    from.registry === to.registry &&
    from.repository === to.repository &&
    tagOrder(imagePolicy).isOlder(to.tag ?? "", from.tag ?? "")
  ) {
    return refuse("spec.image (without imagePolicy)", current.image, to.tag ?? "");
  }
  return undefined;
}
