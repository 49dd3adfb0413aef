import type { ImagePolicy } from "../../../crds/aiapp/sources.ts";
import {
  formatReference,
  parseReference,
  parseRepository,
  type ImageReference,
} from "../../../crds/grammar/image-reference.ts";
import { tagOrder } from "../../../crds/grammar/tag-order.ts";
import { createSlices, type Slices } from "../../slices.ts";
import { isOperatorError, OperatorError, withOperatorErrors } from "../../errors.ts";
import { identityKey, type Identity } from "../identity.ts";
import { isKeeperTag } from "../keep/names.ts";
import { sha256 } from "../model/manifest.ts";
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
  slices: Slices = createSlices(),
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
          : pollNewestTag(registry, reference, createTagChooser(policy, slices), identity),
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
  chooser: TagChooser,
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
    const newest = await chooser.newestOf(tags, signal);
    if (newest === undefined) throw noAdmittedTag(repository, tags.length);
    return resolveTag(newest, lastPush, signal);
  };
}

interface TagChooser {
  readonly newestOf: (tags: readonly string[], signal: AbortSignal) => Promise<string | undefined>;
}

/** Reads each tag once, in slices, and none again while the list stays the same. @throws IMAGE_POLICY_INVALID */
function createTagChooser(policy: ImagePolicy, slices: Slices): TagChooser {
  const order = tagOrder(policy);
  let last: { readonly digest: string; readonly newest: string | undefined } | undefined;
  return {
    newestOf: async (tags, signal) => {
      const digest = sha256(tags.join("\n"));
      if (last?.digest === digest) return last.newest;
      const best = order.createBest();
      await slices.forEach(tags, (tag) => isKeeperTag(tag) || best.offer(tag), signal);
      last = { digest, newest: best.newest() };
      return last.newest;
    },
  };
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
