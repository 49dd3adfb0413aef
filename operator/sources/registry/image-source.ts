import { setImmediate as nextTurn } from "node:timers/promises";

import type { ImagePolicy } from "../../../crds/aiapp.ts";
import {
  formatReference,
  parseReference,
  parseRepository,
  type ImageReference,
} from "../../../crds/grammar/image-reference.ts";
import { tagOrder, type TagOrder } from "../../../crds/grammar/tag-order.ts";
import { isOperatorError, OperatorError, withOperatorErrors } from "../../errors.ts";
import { identityKey, type Identity } from "../identity.ts";
import type { ImageSeen, Source } from "../source.ts";
import type { ImageRegistry } from "./image-registry.ts";

export interface ImageQuery {
  readonly image: string;
  /** Undefined: the source is the tag or digest in `image`. */
  readonly policy: ImagePolicy | undefined;
}

type Poll = Source<ImageSeen>["poll"];

/** The source of `spec.image` and `spec.imagePolicy`. @throws IMAGE_REFERENCE_INVALID, IMAGE_POLICY_INVALID */
export function imageSource(
  registry: ImageRegistry,
  { image, policy }: ImageQuery,
  identity: Identity,
): Source<ImageSeen> {
  return withOperatorErrors(() => {
    const reference = policy === undefined ? parseReference(image) : parseRepository(image);
    const name = policy === undefined ? image : formatReference(reference);
    return {
      key: `image ${name} ${JSON.stringify(policy ?? {})} ${identityKey(identity)}`,
      kind: "image",
      host: reference.registry,
      login: identityKey(identity),
      poll:
        policy === undefined
          ? pollReference(registry, image, reference, identity)
          : pollNewestTag(registry, reference, tagOrder(policy), identity),
    };
  });
}

function pollReference(
  registry: ImageRegistry,
  image: string,
  reference: ImageReference,
  identity: Identity,
): Poll {
  return async (_, signal) => {
    const digest = await registry.resolve(reference, identity, signal);
    return { kind: "image", image, digest, lastPush: undefined };
  };
}

/** Lists the tags only when there was a push since the last poll; otherwise it resolves the same tag again. */
function pollNewestTag(
  registry: ImageRegistry,
  repository: ImageReference,
  order: TagOrder,
  identity: Identity,
): Poll {
  async function resolveTag(
    tag: string | undefined,
    lastPush: string | undefined,
    signal: AbortSignal,
  ): Promise<ImageSeen> {
    const reference = { ...repository, tag };
    const digest = await registry.resolve(reference, identity, signal);
    return { kind: "image", image: formatReference(reference), digest, lastPush };
  }

  return async (previous, signal) => {
    const lastPush = await registry.lastPush(repository, identity, signal);
    if (previous !== undefined && lastPush !== undefined && lastPush === previous.lastPush) {
      const { tag } = parseReference(previous.image);
      const same = await resolveTag(tag, lastPush, signal).catch(undefinedIfDeleted);
      if (same !== undefined) return same;
    }
    const tags = await registry.listTags(repository, identity, signal);
    const newest = await newestOf(tags, order, signal);
    if (newest === undefined) throw noAdmittedTag(repository, tags.length);
    return resolveTag(newest, lastPush, signal);
  };
}

const TAGS_PER_TURN = 500;

/** Sorts a long list in parts and yields to the event loop between them, so that other apps are not delayed. */
async function newestOf(
  tags: readonly string[],
  order: TagOrder,
  signal: AbortSignal,
): Promise<string | undefined> {
  let newest: string | undefined;
  for (let from = 0; from < tags.length; from += TAGS_PER_TURN) {
    const part = tags.slice(from, from + TAGS_PER_TURN);
    [newest] = order.newestFirst(newest === undefined ? part : [newest, ...part]);
    await nextTurn(undefined, { signal });
  }
  return newest;
}

/** A registry does not report the deletion of a tag as a push. */
function undefinedIfDeleted(error: unknown): undefined {
  if (!isOperatorError(error, "IMAGE_NOT_FOUND")) throw error;
}

/** A list without an admitted tag decides nothing: the last result stays. */
function noAdmittedTag(repository: ImageReference, tags: number): OperatorError {
  const name = formatReference(repository);
  return new OperatorError(
    "IMAGE_NOT_FOUND",
    tags === 0
      ? `${name} has no tags (or hides them from this identity): push one; the current release keeps serving`
      : `spec.imagePolicy admits none of the ${tags} tags of ${name}: push one that it admits, or correct it; the current release keeps serving`,
  );
}
