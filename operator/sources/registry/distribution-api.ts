import type { ImageReference } from "../../../crds/grammar/image-reference.ts";
import type { ByteBudget } from "../../byte-budget.ts";
import type { Identity } from "../identity.ts";
import type { ImageRegistry } from "./image-registry.ts";
import { connectionError, digestIn, type RegistryResponse } from "./response.ts";
import { readAllTags } from "./tag-pages.ts";

/** The part of the OCI distribution API that the operator uses, over a client that authenticates. */

/** Without all four media types a registry may return 404, or the digest of another manifest. */
export const MANIFEST_TYPES = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
].join(", ");

/** @throws when there is no response: an OperatorError, or what the connection failed with */
export type SendRequest = (
  method: "GET" | "HEAD",
  path: string,
  reference: ImageReference,
  identity: Identity,
  signal: AbortSignal,
) => Promise<RegistryResponse>;

export function distributionApi(
  send: SendRequest,
  budget: ByteBudget,
): Pick<ImageRegistry, "resolve" | "listTags"> {
  return {
    resolve: async (reference, identity, signal) => {
      try {
        const response = await send("HEAD", manifestPath(reference), reference, identity, signal);
        return digestIn(response, reference, identity);
      } catch (error) {
        throw connectionError(reference, error);
      }
    },
    listTags: async (repository, identity, signal) => {
      const share = budget.open();
      try {
        const get = (path: string): Promise<RegistryResponse> =>
          send("GET", path, repository, identity, signal);
        return await readAllTags(repository, identity, get, share);
      } catch (error) {
        throw connectionError(repository, error);
      } finally {
        share.close();
      }
    },
  };
}

/** The digest identifies a manifest where both are named. */
function manifestPath({ repository, tag, digest }: ImageReference): string {
  return `/v2/${repository}/manifests/${digest ?? tag ?? ""}`;
}
