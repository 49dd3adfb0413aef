import type { Agents, HostPolicy } from "./hosts.ts";
import type { Identity } from "./identity.ts";
import type { ImageReference } from "./reference.ts";
import type { TokenCredentials } from "./workload.ts";

/** The port to registries: which digest a reference means now. */
export interface ImageRegistry {
  /** One HEAD. @throws IMAGE_NOT_FOUND, REGISTRY_*, CREDENTIALS_MISSING, HOST_NOT_ALLOWED */
  readonly resolve: (
    reference: ImageReference,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<string>;
  /** All tags of a repository, in no order: never a part of them. @throws as `resolve`, and TAGS_TOO_MANY */
  readonly listTags: (
    repository: ImageReference,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<readonly string[]>;
  /** Stands for the newest push to a repository: one request. Undefined where the registry does not tell. */
  readonly newestPush: (
    repository: ImageReference,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<string | undefined>;
}

/** All four manifest types: without them a registry may answer 404, or with another manifest's digest. */
export const MANIFEST_TYPES = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
].join(", ");

export interface RegistryOptions {
  /** Hosts that end so are Azure Container Registries, to which Azure tokens may go. */
  readonly azureSuffixes: readonly string[];
  readonly policy: HostPolicy;
  readonly agents: Agents;
  readonly credentials: TokenCredentials;
}
