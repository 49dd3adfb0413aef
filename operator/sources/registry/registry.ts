import type { ImageReference } from "../../../crds/grammar/image-reference.ts";
import type { Identity } from "../identity.ts";
import { createAcr } from "./acr.ts";
import type { ImageRegistry, RegistryOptions } from "./image-registry.ts";
import { createOci } from "./oci.ts";

/** Azure Container Registry through Azure's own client, every other registry through the OCI distribution API. */
export function createRegistry(options: RegistryOptions): ImageRegistry {
  const acr = createAcr(options);
  const oci = createOci(options);
  function clientOf({ registry }: ImageReference, identity: Identity): ImageRegistry {
    const isAzure = options.azureSuffixes.some((suffix) => registry.endsWith(suffix));
    // ACR accepts a login from a Secret as any registry does; Azure's client knows Azure identities only.
    return isAzure && identity.kind !== "basic" ? acr : oci;
  }
  return {
    resolve: (reference, identity, signal) =>
      clientOf(reference, identity).resolve(reference, identity, signal),
    listTags: (repository, identity, signal) =>
      clientOf(repository, identity).listTags(repository, identity, signal),
    lastPush: (repository, identity, signal) =>
      clientOf(repository, identity).lastPush(repository, identity, signal),
    readManifest: (reference, identity, signal) =>
      clientOf(reference, identity).readManifest(reference, identity, signal),
    writeManifest: (reference, manifest, identity, signal) =>
      clientOf(reference, identity).writeManifest(reference, manifest, identity, signal),
  };
}
