import type { ContainerClient } from "@azure/storage-blob";

import { MANIFEST, MAX_MANIFEST_BYTES, Manifest } from "../../crds/bundle.ts";
import type { Destination } from "./destination.ts";
import type { Request } from "./request.ts";
import { isStatus } from "./request.ts";

export interface RemoteFile {
  readonly size: number;
  /** From the metadata that publish writes; absent if another program wrote the blob. */
  readonly sha256: string | undefined;
}

/** The blobs of one version folder, by path. */
export interface RemoteFolder {
  readonly published: boolean;
  readonly files: ReadonlyMap<string, RemoteFile>;
}

/** A folder with more blobs than this is not a bundle, so listing stops. */
const MAX_BLOBS = 20_000;

export async function listVersion(
  container: ContainerClient,
  { prefix, store }: Destination,
  request: Request,
  signal: AbortSignal,
): Promise<RemoteFolder> {
  const files = new Map<string, RemoteFile>();
  let published = false;
  let continuationToken: string | undefined;
  do {
    const page = await request(
      `listing ${store}/${prefix}`,
      async ({ abortSignal }) =>
        container
          .listBlobsFlat({ prefix, includeMetadata: true, abortSignal })
          .byPage({ maxPageSize: 5000, ...(continuationToken ? { continuationToken } : {}) })
          .next(),
      signal,
    );
    if (page.done) break;
    for (const blob of page.value.segment.blobItems) {
      const path = blob.name.slice(prefix.length);
      const metadata = blob.metadata ?? {};
      // A storage account with a hierarchical namespace lists folders as empty blobs.
      if (path === "" || metadata["hdi_isfolder"] === "true") continue;
      if (path === MANIFEST) published = true;
      else
        files.set(path, { size: blob.properties.contentLength ?? -1, sha256: metadata["sha256"] });
    }
    continuationToken = page.value.continuationToken;
  } while (continuationToken && files.size < MAX_BLOBS);
  return { published, files };
}

export async function statFile(
  container: ContainerClient,
  blobName: string,
  request: Request,
  signal: AbortSignal,
): Promise<RemoteFile | undefined> {
  return request(
    `reading the properties of ${blobName}`,
    async ({ abortSignal }) => {
      try {
        const found = await container.getBlobClient(blobName).getProperties({ abortSignal });
        return { size: found.contentLength ?? -1, sha256: found.metadata?.["sha256"] };
      } catch (error) {
        if (isStatus(error, 404)) return undefined;
        throw error;
      }
    },
    signal,
  );
}

/** The exact bytes of the published manifest, cut off after the first chunk past the size limit. */
export async function readManifestBytes(
  container: ContainerClient,
  { prefix }: Destination,
  request: Request,
  signal: AbortSignal,
): Promise<Buffer> {
  return request(
    `reading ${prefix}${MANIFEST}`,
    async ({ abortSignal, onProgress }) => {
      const blob = container.getBlobClient(prefix + MANIFEST);
      const { readableStreamBody } = await blob.download(0, undefined, { abortSignal });
      const chunks: Buffer[] = [];
      let length = 0;
      for await (const chunk of readableStreamBody ?? []) {
        const bytes = Buffer.from(chunk);
        chunks.push(bytes);
        length += bytes.length;
        onProgress();
        if (length > MAX_MANIFEST_BYTES) break;
      }
      return Buffer.concat(chunks);
    },
    signal,
  );
}

export function parseManifest(bytes: Buffer): Manifest | undefined {
  try {
    return Manifest.safeParse(JSON.parse(bytes.toString("utf8"))).data;
  } catch {
    return undefined;
  }
}
