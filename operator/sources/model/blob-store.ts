import { RestError } from "@azure/storage-blob";

import { MANIFEST, MAX_MANIFEST_BYTES } from "../../../crds/bundle.ts";
import { readBounded } from "../../body.ts";
import { OperatorError } from "../../errors.ts";
import type { OpenContainer } from "./blob-container.ts";
import type { ModelStore, StoredFile } from "./model-store.ts";
import { storageError } from "./storage-error.ts";

const MAX_VERSIONS = 10_000;
const MAX_FILES = 10_000;

/** A model store in Azure Blob Storage, through Azure's own client. */
export function createBlobStore(open: OpenContainer): ModelStore {
  return {
    listVersions: async (model, identity, signal) => {
      const prefix = `${model.name}/`;
      const where = `${model.store}/${prefix}`;
      try {
        const items = open(model.store, identity).listBlobsByHierarchy("/", {
          prefix,
          abortSignal: signal,
        });
        return await collect(
          items,
          ({ kind, name }) => (kind === "prefix" ? name.slice(prefix.length, -1) : undefined),
          MAX_VERSIONS,
          `${where} has more than ${MAX_VERSIONS} versions: name one, or move old ones away`,
        );
      } catch (error) {
        throw storageError(error, where);
      }
    },

    readManifest: async (model, version, etag, identity, signal) => {
      const path = `${model.name}/${version}/${MANIFEST}`;
      const where = `${model.store}/${path}`;
      try {
        const response = await open(model.store, identity)
          .getBlobClient(path)
          .download(0, undefined, {
            abortSignal: signal,
            maxRetryRequests: 0,
            ...(etag !== undefined && { conditions: { ifNoneMatch: etag } }),
          });
        if (response.readableStreamBody === undefined || response.etag === undefined) {
          throw new OperatorError(
            "STORAGE_UNEXPECTED_RESPONSE",
            `unexpected response: no body or no ETag to GET ${where}; check that spec.model.store is a Blob container`,
          );
        }
        const { bytes, whole } = await readBounded(response.readableStreamBody, MAX_MANIFEST_BYTES);
        if (!whole) {
          throw new OperatorError(
            "MANIFEST_INVALID",
            `${where} is larger than ${MAX_MANIFEST_BYTES} bytes: publish the version again with aiapp publish`,
          );
        }
        return { etag: response.etag, bytes };
      } catch (error) {
        if (error instanceof RestError && error.statusCode === 304) return "unchanged";
        if (error instanceof RestError && error.code === "BlobNotFound") return undefined;
        throw storageError(error, where);
      }
    },

    listFiles: async (model, version, identity, signal) => {
      const prefix = `${model.name}/${version}/`;
      const where = `${model.store}/${prefix}`;
      try {
        const items = open(model.store, identity).listBlobsFlat({
          prefix,
          abortSignal: signal,
          includeUncommitedBlobs: true,
          includeMetadata: true,
        });
        return await collect(
          items,
          ({ name, properties, metadata }) =>
            isFolder(metadata) ? undefined : fileOf(name.slice(prefix.length), properties),
          MAX_FILES,
          `${where} has more than ${MAX_FILES} files: remove those that are not of the model`,
        );
      } catch (error) {
        throw storageError(error, where);
      }
    },
  };
}

/** Accounts with a hierarchical namespace list folders as empty blobs with this metadata. */
function isFolder(metadata: Readonly<Record<string, string>> = {}): boolean {
  return Object.entries(metadata).some(
    ([key, value]) => key.toLowerCase() === "hdi_isfolder" && value.toLowerCase() === "true",
  );
}

/** Other tools write a folder as an empty blob whose name ends with a slash. */
function fileOf(
  path: string,
  { contentLength = 0, etag }: { readonly contentLength?: number; readonly etag: string },
): StoredFile | undefined {
  if (path.endsWith("/") || path === "") return undefined;
  // Blob Storage gives no ETag to a blob of which no block has been committed.
  return { path, size: contentLength, etag, committed: Boolean(etag) };
}

/** Reads a listing to its end. @throws STORAGE_UNEXPECTED_RESPONSE with more than `max` entries */
async function collect<T, R>(
  items: AsyncIterable<T>,
  read: (item: T) => R | undefined,
  max: number,
  tooMany: string,
): Promise<readonly R[]> {
  const results: R[] = [];
  for await (const item of items) {
    const result = read(item);
    if (result === undefined) continue;
    results.push(result);
    if (results.length > max) throw new OperatorError("STORAGE_UNEXPECTED_RESPONSE", tooMany);
  }
  return results;
}
