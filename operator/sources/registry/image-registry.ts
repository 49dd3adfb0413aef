import type { ImageReference } from "../../../crds/grammar/image-reference.ts";
import type { Agents, HostPolicy } from "../hosts.ts";
import type { Identity } from "../identity.ts";
import type { TokenCredentials } from "../workload-identity.ts";

/** The port to registries. */
export interface ImageRegistry {
  /** The digest of a tag: one HEAD. @throws IMAGE_NOT_FOUND, REGISTRY_*, CREDENTIALS_MISSING, HOST_NOT_ALLOWED */
  readonly resolve: (
    reference: ImageReference,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<string>;
  /** All tags of a repository, in no order; never a part of them. @throws as `resolve`, and TAGS_TOO_MANY */
  readonly listTags: (
    repository: ImageReference,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<readonly string[]>;
  /** Identifies the last push to a repository: one request. Undefined where the registry does not report it. */
  readonly lastPush: (
    repository: ImageReference,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<string | undefined>;
  /** The manifest that a digest names, checked against it: one GET. @throws as `resolve` */
  readonly readManifest: (
    reference: ImageReference,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<ImageManifest>;
  /** Puts a manifest under the reference's tag: one PUT. `refused`: the identity may not push. @throws as `resolve` */
  readonly writeManifest: (
    reference: ImageReference,
    manifest: ImageManifest,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<"written" | "refused">;
}

/** A manifest as the registry has it: its digest is the SHA-256 of these bytes. */
export interface ImageManifest {
  readonly mediaType: string;
  readonly text: string;
}

export interface RegistryOptions {
  /** Suffixes of Azure Container Registry's hosts: Azure tokens go only there. */
  readonly azureSuffixes: readonly string[];
  /** Host of the token endpoint by registry, for registries whose token endpoint has another host. */
  readonly tokenHosts?: ReadonlyMap<string, string>;
  readonly policy: HostPolicy;
  readonly agents: Agents;
  readonly credentials: TokenCredentials;
}
