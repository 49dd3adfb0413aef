import { reasonOf } from "../../errors.ts";
import type { Reason } from "../../../crds/conditions.ts";
import type { Seen } from "../../sources/source.ts";
import type { Observed, SourceView } from "../observed.ts";
import type { Action } from "../action.ts";
import type { Pair } from "../release/identity.ts";

export interface PairFound {
  /** The newest code image and model version that were seen together; undefined while one half is unknown. */
  readonly pair: Pair | undefined;
  /** Why there is none. */
  readonly waiting: { readonly reason: Reason; readonly message: string } | undefined;
  readonly polls: readonly Action[];
}

/**
 * Pairs what both sources show now. When one half has changed, the other is polled again first: both halves of a change
 * may have been published together, and one of them arrives earlier.
 */
export function findPair({ image, model }: Observed): PairFound {
  if (image.value === undefined || model.value === undefined) {
    return { pair: undefined, waiting: whyUnknown([image, model]), polls: [] };
  }
  const polls = [...pollAfterChange(image, model), ...pollAfterChange(model, image)];
  if (polls.length > 0) {
    const error = [image, model].find(({ error }) => error !== undefined);
    return {
      pair: undefined,
      waiting:
        error === undefined
          ? { reason: "WaitingForSources", message: describeChange(image, model) }
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
      modelBytes: model.value.bytes,
    },
    waiting: undefined,
    polls: [],
  };
}

function describeChange(image: SourceView<Seen>, model: SourceView<Seen>): string {
  return pollAfterChange(image, model).length > 0
    ? "the model changed: re-polling the registry before pairing"
    : "the image changed: re-polling the model store before pairing";
}

/** The poll of `half` that a change of the other one asks for. */
function pollAfterChange(half: SourceView<Seen>, other: SourceView<Seen>): readonly Action[] {
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
    ? {
        reason: "WaitingForSources",
        message: "waiting for the first poll of the registry and the model store",
      }
    : { reason: reasonOf(failing.code) ?? "WaitingForSources", message: failing.message };
}
