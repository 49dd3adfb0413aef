import { formatReference, type ImageReference } from "../../../crds/grammar/image-reference.ts";
import { isOperatorError } from "../../errors.ts";
import { identityKey, type Identity } from "../identity.ts";
import type { ImageRegistry } from "../registry/image-registry.ts";
import { keptAs, type KeptSeen, type Source } from "../source.ts";
import { keeperTagOf } from "./names.ts";

/**
 * Keeps the image of a release: a second tag on the same manifest, so that what deletes untagged manifests leaves it.
 * Each poll looks for the tag, and sets it where it is missing. Sending it twice is harmless.
 *
 * @param image with its digest
 */
export function imageKeeper(
  registry: Pick<ImageRegistry, "resolve" | "readManifest" | "writeManifest">,
  image: ImageReference & { readonly digest: string },
  identity: Identity,
): Source<KeptSeen> {
  const { digest } = image;
  const pinned = { ...image, tag: undefined };
  const keeper = { ...image, tag: keeperTagOf(digest), digest: undefined };
  const repository = formatReference({ ...image, tag: undefined, digest: undefined });
  return {
    key: `keep image ${formatReference(pinned)} ${identityKey(identity)}`,
    kind: "imageKeeper",
    host: image.registry,
    login: identityKey(identity),
    poll: async (_, signal) => {
      const found = await registry
        .resolve(keeper, identity, signal)
        .catch((error: unknown) => undefinedIfMissing(error));
      if (found === digest) return keptAs("Kept", `tag ${keeper.tag}`);
      if (identity.kind === "anonymous")
        return keptAs(
          "Refused",
          `${repository} is read anonymously: name a login that may push in spec.credentials.registry`,
        );
      const manifest = await registry
        .readManifest(pinned, identity, signal)
        .catch((error: unknown) => undefinedIfMissing(error));
      if (manifest === undefined)
        return keptAs("Lost", `${formatReference(pinned)} is no longer there`);
      const result = await registry.writeManifest(keeper, manifest, identity, signal);
      return result === "written"
        ? keptAs("Kept", `tag ${keeper.tag}`)
        : keptAs(
            "Refused",
            `the identity may not push to ${repository}: ${describeRole(identity)}`,
          );
    },
  };
}

function undefinedIfMissing(error: unknown): undefined {
  if (!isOperatorError(error, "IMAGE_NOT_FOUND")) throw error;
}

function describeRole(identity: Identity): string {
  return identity.kind === "workload"
    ? "grant it AcrPush, or Container Registry Repository Writer"
    : "give the login in the registry Secret the right to push";
}
