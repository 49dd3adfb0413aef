import type { AIAppSpec } from "../../../crds/aiapp/spec.ts";
import type { Reason } from "../../../crds/conditions.ts";
import { parseReference } from "../../../crds/grammar/image-reference.ts";
import { tagOrder } from "../../../crds/grammar/tag-order.ts";
import { parseSelector } from "../../../crds/grammar/selector.ts";
import { isOlder } from "../../../crds/grammar/version-order.ts";
import type { Pair } from "../release/identity.ts";
import type { Ledger } from "../release/ledger.ts";

/** Why a pair is not released, whatever the spec asks for. */
export interface Refusal {
  readonly reason: Extract<Reason, "ModelMutated" | "DowngradeRefused" | "InvalidSpec">;
  readonly message: string;
}

/** The version folder was changed after a release was made of it. */
export function findMutation(spec: AIAppSpec, { all }: Ledger, pair: Pair): Refusal | undefined {
  const { store, name } = spec.model;
  const before = all.find(
    (record) =>
      record.modelVersion === pair.modelVersion &&
      record.model.store === store &&
      record.model.name === name &&
      record.modelDigest !== pair.modelDigest,
  );
  if (before === undefined) return undefined;
  return {
    reason: "ModelMutated",
    message: `the files of ${store}/${name}/${pair.modelVersion}/ changed after the operator released them (${before.modelDigest.slice(0, 19)}… then, ${pair.modelDigest.slice(0, 19)}… now): publish the new files as a new version; the running release keeps serving`,
  };
}

/**
 * The stable release is gone from its source, and the newest that is left is older: deleting a version or a tag does not
 * ask for a rollback. A change of the spec that leaves the newer one out does.
 */
export function findDowngrade(
  spec: AIAppSpec,
  { stable }: Ledger,
  pair: Pair,
): Refusal | undefined {
  if (stable === undefined) return undefined;
  // The same release under an older name.
  if (pair.imageDigest === stable.imageDigest && pair.modelDigest === stable.modelDigest)
    return undefined;
  const { model, modelVersion, imagePolicy } = spec;
  if (
    stable.model.store === model.store &&
    stable.model.name === model.name &&
    isOlder(pair.modelVersion, stable.modelVersion, parseSelector(modelVersion), model.order)
  ) {
    const folder = `${model.store}/${model.name}`;
    return downgrade("spec.modelVersion", `${folder}/${stable.modelVersion}`, pair.modelVersion);
  }
  const [from, to] = [parseReference(stable.image), parseReference(pair.image)];
  if (
    imagePolicy !== undefined &&
    from.registry === to.registry &&
    from.repository === to.repository &&
    tagOrder(imagePolicy).isOlder(to.tag ?? "", from.tag ?? "")
  ) {
    return downgrade("spec.image (without imagePolicy)", stable.image, to.tag ?? "");
  }
  return undefined;
}

function downgrade(field: string, from: string, to: string): Refusal {
  return {
    reason: "DowngradeRefused",
    message: `${from}, which is released, is not found any more, and the newest that is left is ${to}, which is older: publish a newer one, or name ${to} in ${field} to go back; until then the running release keeps serving, and no other change of its pods is rolled out`,
  };
}
