import type { ImageReference } from "../../../crds/grammar/image-reference.ts";
import type { ByteBudget } from "../../byte-budget.ts";
import { OperatorError } from "../../errors.ts";
import type { Identity } from "../identity.ts";
import { sha256 } from "../model/manifest.ts";
import type { ImageManifest, ImageRegistry } from "./image-registry.ts";
import {
  connectionError,
  digestIn,
  statusError,
  unexpectedResponse,
  type RegistryResponse,
} from "./response.ts";
import { readAllTags } from "./tag-pages.ts";

/** The part of the OCI distribution API that the operator uses, over a client that authenticates. */

/** Without all four media types a registry may return 404, or the digest of another manifest. */
export const MANIFEST_TYPES = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
].join(", ");

/** What a request needs a token for: registries issue one for each. */
export type Purpose = "pull" | "list" | "push";

export interface ApiRequest {
  readonly purpose: Purpose;
  readonly method: "GET" | "HEAD" | "PUT";
  readonly path: string;
  /** The body of a PUT. */
  readonly manifest?: ImageManifest;
}

/** What a request accepts as its response. */
export function acceptOf({ purpose }: ApiRequest): string {
  return purpose === "pull" ? MANIFEST_TYPES : "application/json";
}

/** @throws when there is no response: an OperatorError, or what the connection failed with */
export type SendRequest = (
  request: ApiRequest,
  reference: ImageReference,
  identity: Identity,
  signal: AbortSignal,
) => Promise<RegistryResponse>;

export function distributionApi(
  send: SendRequest,
  budget: ByteBudget,
): Pick<ImageRegistry, "resolve" | "listTags" | "readManifest" | "writeManifest"> {
  return {
    resolve: async (reference, identity, signal) => {
      try {
        const path = manifestPath(reference);
        const request = { purpose: "pull", method: "HEAD", path } as const;
        return digestIn(await send(request, reference, identity, signal), reference, identity);
      } catch (error) {
        throw connectionError(reference, error);
      }
    },
    listTags: async (repository, identity, signal) => {
      const share = budget.open();
      try {
        const get = (path: string): Promise<RegistryResponse> =>
          send({ purpose: "list", method: "GET", path }, repository, identity, signal);
        return await readAllTags(repository, identity, get, share);
      } catch (error) {
        throw connectionError(repository, error);
      } finally {
        share.close();
      }
    },
    readManifest: async (reference, identity, signal) => {
      try {
        const path = manifestPath(reference);
        const request = { purpose: "pull", method: "GET", path } as const;
        return manifestIn(await send(request, reference, identity, signal), reference, identity);
      } catch (error) {
        throw connectionError(reference, error);
      }
    },
    writeManifest: async (reference, manifest, identity, signal) => {
      try {
        const path = `/v2/${reference.repository}/manifests/${reference.tag ?? ""}`;
        const request = { purpose: "push", method: "PUT", path, manifest } as const;
        const response = await send(request, reference, identity, signal);
        const { status } = response;
        if (status >= 200 && status < 300) return "written";
        // 405: a cache of another registry, or one that is read-only.
        if (status === 401 || status === 403 || status === 405) return "refused";
        throw statusError(response, reference, identity);
      } catch (error) {
        // Registries may refuse the token already.
        if (error instanceof OperatorError && error.code === "REGISTRY_AUTH_FAILED")
          return "refused";
        throw connectionError(reference, error);
      }
    },
  };
}

/** The digest identifies a manifest where both are named. */
function manifestPath({ repository, tag, digest }: ImageReference): string {
  return `/v2/${repository}/manifests/${digest ?? tag ?? ""}`;
}

/** The manifest in the response to a GET of a digest, which its bytes must have. */
function manifestIn(
  response: RegistryResponse,
  reference: ImageReference,
  identity: Identity,
): ImageManifest {
  if (response.status !== 200) throw statusError(response, reference, identity);
  const { text } = response;
  const mediaType = response.header("content-type")?.replace(/;.*$/, "").trim() ?? "";
  const isManifest = MANIFEST_TYPES.split(", ").includes(mediaType);
  if (isManifest && `sha256:${sha256(text)}` === reference.digest) return { mediaType, text };
  throw unexpectedResponse(
    response,
    `no manifest with the digest ${reference.digest ?? ""}: check the registry, or a proxy before it`,
  );
}
