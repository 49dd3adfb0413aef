import { setImmediate as nextTurn } from "node:timers/promises";

import type { ImagePolicy } from "../../crds/aiapp.ts";
import { OperatorError } from "../errors.ts";
import { createAcr } from "./acr.ts";
import { identityKey, type Identity } from "./identity.ts";
import type { ImageRegistry, RegistryOptions } from "./image.ts";
import { createOci } from "./oci.ts";
import { nameOf, parseReference, parseRepository, type ImageReference } from "./reference.ts";
import type { ImageSeen, Source } from "./source.ts";
import { tagOrder, type TagOrder } from "./tags.ts";

export interface ImageQuery {
  readonly image: string;
  /** Undefined: the tag or digest in `image` is followed. */
  readonly policy: ImagePolicy | undefined;
}

/** ACR through its own client, every other registry through the OCI distribution API. */
export function createRegistry(options: RegistryOptions): ImageRegistry {
  const acr = createAcr(options);
  const oci = createOci(options);
  function of({ registry }: ImageReference, identity: Identity): ImageRegistry {
    const isAzure = options.azureSuffixes.some((suffix) => registry.endsWith(suffix));
    // A login from a Secret works at ACR as at any registry; its own client knows Azure identities only.
    return isAzure && identity.kind !== "basic" ? acr : oci;
  }
  return {
    resolve: (reference, identity, signal) =>
      of(reference, identity).resolve(reference, identity, signal),
    listTags: (repository, identity, signal) =>
      of(repository, identity).listTags(repository, identity, signal),
    newestPush: (repository, identity, signal) =>
      of(repository, identity).newestPush(repository, identity, signal),
  };
}

/** What the poller polls for `spec.image` and `spec.imagePolicy`. @throws IMAGE_REFERENCE_INVALID, IMAGE_POLICY_INVALID */
export function imageSource(
  registry: ImageRegistry,
  { image, policy }: ImageQuery,
  identity: Identity,
): Source<ImageSeen> {
  const reference = policy === undefined ? parseReference(image) : parseRepository(image);
  return {
    key: `image ${policy === undefined ? image : nameOf(reference)} ${JSON.stringify(policy ?? {})} ${identityKey(identity)}`,
    kind: "image",
    host: reference.registry,
    poll:
      policy === undefined
        ? async (_, signal) => {
            const digest = await registry.resolve(reference, identity, signal);
            return { kind: "image", image, digest, mark: undefined };
          }
        : choosing(registry, reference, tagOrder(policy), identity),
  };
}

/** Looks for the newest tag that is admitted, and only at the digest of the one before while nothing was pushed. */
function choosing(
  registry: ImageRegistry,
  repository: ImageReference,
  order: TagOrder,
  identity: Identity,
): Source<ImageSeen>["poll"] {
  async function see(
    tag: string | undefined,
    mark: string | undefined,
    signal: AbortSignal,
  ): Promise<ImageSeen> {
    const one = { ...repository, tag };
    const digest = await registry.resolve(one, identity, signal);
    return { kind: "image", image: nameOf(one), digest, mark };
  }

  return async (previous, signal) => {
    const mark = await registry.newestPush(repository, identity, signal);
    if (previous !== undefined && mark !== undefined && mark === previous.mark) {
      const { tag } = parseReference(previous.image);
      const same = await see(tag, mark, signal).catch(unlessDeleted);
      if (same !== undefined) return same;
    }
    const tags = await registry.listTags(repository, identity, signal);
    const newest = await newestOf(tags, order, signal);
    if (newest === undefined) throw nothingToChoose(repository, tags.length);
    return see(newest, mark, signal);
  };
}

const AT_ONCE = 500;

/** Long lists are gone through in parts: other apps are served in between. */
async function newestOf(
  tags: readonly string[],
  order: TagOrder,
  signal: AbortSignal,
): Promise<string | undefined> {
  let newest: string | undefined;
  for (let from = 0; from < tags.length; from += AT_ONCE) {
    const part = tags.slice(from, from + AT_ONCE);
    [newest] = order.newestFirst(newest === undefined ? part : [newest, ...part]);
    await nextTurn(undefined, { signal });
  }
  return newest;
}

/** That a tag was deleted is no push. */
function unlessDeleted(error: unknown): undefined {
  if (!(error instanceof OperatorError) || error.code !== "IMAGE_NOT_FOUND") throw error;
}

/** Nothing is decided on a list without a tag to take: what was seen before stays. */
function nothingToChoose(repository: ImageReference, tags: number): OperatorError {
  const name = nameOf(repository);
  return new OperatorError(
    "IMAGE_NOT_FOUND",
    tags === 0
      ? `${name} holds no tags (or hides them from this identity): push one; what serves goes on serving`
      : `none of the ${tags} tags of ${name} is one that spec.imagePolicy admits: push one, or correct it; what serves goes on serving`,
  );
}
