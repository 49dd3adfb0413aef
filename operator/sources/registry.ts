import { createAcr } from "./acr.ts";
import { identityKey, type Identity } from "./identity.ts";
import type { ImageRegistry, RegistryOptions } from "./image.ts";
import { createOci } from "./oci.ts";
import { parseReference } from "./reference.ts";
import type { ImageSeen, Source } from "./source.ts";

/** ACR through its own client, every other registry through the OCI distribution API. */
export function createRegistry(options: RegistryOptions): ImageRegistry {
  const acr = createAcr(options);
  const oci = createOci(options);
  return {
    resolve: (reference, identity, signal) => {
      const isAzure = options.azureSuffixes.some((suffix) => reference.registry.endsWith(suffix));
      // A login from a Secret works at ACR as at any registry; its own client knows Azure identities only.
      return isAzure && identity.kind !== "basic"
        ? acr.resolve(reference, identity, signal)
        : oci.resolve(reference, identity, signal);
    },
  };
}

/** What the poller polls for `spec.image`. */
export function imageSource(
  registry: ImageRegistry,
  image: string,
  identity: Identity,
): Source<ImageSeen> {
  const reference = parseReference(image);
  return {
    key: `image ${image} ${identityKey(identity)}`,
    kind: "image",
    host: reference.registry,
    poll: async (_, signal) => ({
      kind: "image",
      digest: await registry.resolve(reference, identity, signal),
    }),
  };
}
