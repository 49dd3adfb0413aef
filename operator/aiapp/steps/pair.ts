import { reasonOf } from "../../errors.ts";
import type { Reason } from "../../../crds/conditions.ts";
import type { Seen } from "../../sources/source.ts";
import type { Observed, SourceView } from "../observed.ts";
import type { Action } from "../action.ts";
import type { Pair } from "../release.ts";

export interface PairFound {
  /** The newest code image and model version that were seen together; undefined while one half is unknown. */
  readonly pair: Pair | undefined;
  /** Why there is none. */
  readonly waiting: { readonly reason: Reason; readonly message: string } | undefined;
  readonly polls: readonly Action[];
}

/**
 * Pairs what both sources show now. When one half has changed, the other is looked at again before they are paired: who
 * publishes both means them together, and one of them lands first.
 */
export function findPair({ image, model }: Observed): PairFound {
  if (image.value === undefined || model.value === undefined) {
    return { pair: undefined, waiting: whyUnknown([image, model]), polls: [] };
  }
  const polls = [...owed(image, model), ...owed(model, image)];
  if (polls.length > 0) {
    const error = [image, model].find(({ error }) => error !== undefined);
    return {
      pair: undefined,
      waiting:
        error === undefined
          ? {
              reason: "WaitingForSources",
              message: "one source has changed, the other is looked at again",
            }
          : whyUnknown([image, model]),
      polls,
    };
  }
  return {
    pair: {
      image: image.value.image,
      imageDigest: image.value.digest,
      modelVersion: model.value.version,
      modelDigest: model.value.digest,
    },
    waiting: undefined,
    polls: [],
  };
}

/** The poll that `half` owes to a change of the other. */
function owed(half: SourceView<Seen>, other: SourceView<Seen>): readonly Action[] {
  const { changedAt } = other;
  if (half.key === undefined || changedAt === undefined || (half.checkedAt ?? -1) >= changedAt)
    return [];
  return [{ kind: "poll", key: half.key, since: changedAt }];
}

function whyUnknown(halves: readonly SourceView<Seen>[]): { reason: Reason; message: string } {
  for (const { value, error } of halves) {
    if (error !== undefined && value === undefined) {
      return { reason: reasonOf(error.code) ?? "WaitingForSources", message: error.message };
    }
  }
  const failing = halves.find(({ error }) => error !== undefined)?.error;
  return failing === undefined
    ? { reason: "WaitingForSources", message: "the registry and the store are being looked at" }
    : { reason: reasonOf(failing.code) ?? "WaitingForSources", message: failing.message };
}
