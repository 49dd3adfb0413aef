import { RestError, type BlobItem } from "@azure/storage-blob";

import { MANIFEST, MAX_MANIFEST_BYTES } from "../../../crds/bundle.ts";
import { readBounded } from "../../body.ts";
import type { ByteBudget } from "../../byte-budget.ts";
import { OperatorError } from "../../errors.ts";
import type { OpenContainer } from "./blob-container.ts";
import type { ModelStore, StoredFile } from "./model-store.ts";
import { storageError } from "./storage-error.ts";

const MAX_VERSIONS = 10_000;
const MAX_FILES = 10_000;
/** Small, so that parsing a page blocks the process for some milliseconds only. */
const PAGE_SIZE = 200;
/** Entries of files come with their metadata, of 8 KiB at most: then a page is still shorter than a body may be. */
const FILES_PAGE_SIZE = 100;
/** A store may return smaller pages than requested, or empty ones without end. */
const MAX_PAGES = 500;
/** Of all names of a listing: 10,000 of the longest that there are. */
const MAX_LISTING_BYTES = 12 * 1024 * 1024;

/**
 * A model store in Azure Blob Storage, through Azure's own client.
 *
 * @param budget what listings, and all other responses, may hold together while they are read
 */
export function createBlobStore(open: OpenContainer, budget?: ByteBudget): ModelStore {
  return {
    listVersions: async (model, identity, signal) => {
      const prefix = `${model.name}/`;
      const where = `${model.store}/${prefix}`;
      try {
        const pages = open(model.store, identity)
          .listBlobsByHierarchy("/", { prefix, abortSignal: signal })
          .byPage({ maxPageSize: PAGE_SIZE });
        return await collect(pages, {
          where,
          budget,
          max: MAX_VERSIONS,
          tooMany: `${where} has more than ${MAX_VERSIONS} versions: name one, or move old ones away`,
          read: ({ segment }) =>
            (segment.blobPrefixes ?? []).map(({ name }) => name.slice(prefix.length, -1)),
          bytesOf: (version) => version.length,
        });
      } catch (error) {
        throw storageError(error, where, identity);
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
        throw storageError(error, where, identity);
      }
    },

    listFiles: async (model, version, identity, signal) => {
      const prefix = `${model.name}/${version}/`;
      const where = `${model.store}/${prefix}`;
      try {
        const pages = open(model.store, identity)
          .listBlobsFlat({
            prefix,
            abortSignal: signal,
            includeUncommitedBlobs: true,
            includeMetadata: true,
            includeCopy: true,
          })
          .byPage({ maxPageSize: FILES_PAGE_SIZE });
        return await collect(pages, {
          where,
          budget,
          max: MAX_FILES,
          tooMany: `${where} has more than ${MAX_FILES} files: remove those that are not of the model`,
          read: ({ segment }) =>
            segment.blobItems.flatMap(({ name, properties, metadata }) =>
              isFolder(metadata) ? [] : fileOf(name.slice(prefix.length), properties, metadata),
            ),
          bytesOf: ({ path, etag }) => path.length + (etag?.length ?? 0),
        });
      } catch (error) {
        throw storageError(error, where, identity);
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

/** As Blob Storage sends them: it says less of a blob of which no block has been committed. */
type BlobProperties = Partial<
  Pick<BlobItem["properties"], "contentLength" | "etag" | "lastModified" | "copyStatus">
>;

/** Other tools write a folder as an empty blob whose name ends with a slash. */
function fileOf(
  path: string,
  { contentLength = 0, etag = "", lastModified, copyStatus }: BlobProperties,
  metadata: Readonly<Record<string, string>> | undefined,
): readonly StoredFile[] {
  if (path.endsWith("/") || path === "") return [];
  // Blob Storage gives no ETag to a blob of which no block has been committed.
  const committed = etag !== "";
  const copy =
    copyStatus === undefined || copyStatus === "success"
      ? "done"
      : copyStatus === "pending"
        ? "pending"
        : "failed";
  const modifiedAt = lastModified?.getTime() ?? 0;
  const kept = path === MANIFEST ? metadata : undefined;
  return [{ path, size: contentLength, etag, committed, modifiedAt, copy, metadata: kept }];
}

interface Listing<P, R> {
  readonly where: string;
  readonly budget: ByteBudget | undefined;
  /** The most entries, and the message when there are more. */
  readonly max: number;
  readonly tooMany: string;
  readonly read: (page: P) => readonly R[];
  readonly bytesOf: (entry: R) => number;
}

/** Reads a listing to its end. @throws STORAGE_UNEXPECTED_RESPONSE when it has too many entries, pages or bytes */
async function collect<P extends { readonly continuationToken?: string }, R>(
  pages: AsyncIterable<P>,
  { where, budget, max, tooMany, read, bytesOf }: Listing<P, R>,
): Promise<readonly R[]> {
  const results: R[] = [];
  const markers = new Set<string>();
  const share = budget?.open();
  let bytes = 0;
  try {
    for await (const page of pages) {
      const entries = read(page);
      const size = entries.reduce((sum, entry) => sum + bytesOf(entry), 0);
      bytes += size;
      share?.take(size);
      results.push(...entries);
      if (results.length > max) throw new OperatorError("STORAGE_UNEXPECTED_RESPONSE", tooMany);
      const marker = page.continuationToken ?? "";
      const isEndless = marker !== "" && (markers.has(marker) || markers.size === MAX_PAGES);
      markers.add(marker);
      if (isEndless || bytes > MAX_LISTING_BYTES) {
        throw new OperatorError(
          "STORAGE_UNEXPECTED_RESPONSE",
          `unexpected response: the listing of ${where} ${isEndless ? "does not end" : `has more than ${MAX_LISTING_BYTES} bytes`}; check that spec.model.store is a Blob container`,
        );
      }
    }
    return results;
  } finally {
    share?.close();
  }
}
