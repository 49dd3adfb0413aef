import { RestError, type BlobRequestConditions } from "@azure/storage-blob";

import type { Identity } from "../identity.ts";
import type { OpenContainer } from "../model/blob-container.ts";
import { storageError } from "../model/storage-error.ts";
import type { ModelCopies } from "./model-copies.ts";

/** Writes to Azure Blob Storage, through Azure's own client. */
export function createBlobCopies(open: OpenContainer): ModelCopies {
  return {
    copy: (store, { from, to, replaces }, identity, abortSignal) =>
      unlessChanged(`${store}/${to}`, identity, async () => {
        const container = open(store, identity);
        // Copy Blob: of any size, with the same content in one step. Its URL holds the SAS token where there is one.
        const poller = await container
          .getBlobClient(to)
          .beginCopyFromURL(container.getBlobClient(from.path).url, {
            abortSignal,
            sourceConditions: { ifMatch: from.etag },
            conditions: replacing(replaces),
          });
        return poller.isDone() ? "done" : "pending";
      }),
    write: (store, { path, bytes, metadata, replaces }, identity, abortSignal) =>
      unlessChanged(`${store}/${path}`, identity, async () => {
        const options = { abortSignal, metadata: { ...metadata }, conditions: replacing(replaces) };
        await open(store, identity).getBlockBlobClient(path).upload(bytes, bytes.length, options);
        return "done" as const;
      }),
    setMetadata: (store, { path, etag, metadata }, identity, abortSignal) =>
      unlessChanged(`${store}/${path}`, identity, async () => {
        await open(store, identity)
          .getBlobClient(path)
          .setMetadata({ ...metadata }, { abortSignal, conditions: { ifMatch: etag } });
        return "done" as const;
      }),
    remove: (store, { path, etag }, identity, abortSignal) =>
      unlessChanged(`${store}/${path}`, identity, async () => {
        await open(store, identity)
          .getBlobClient(path)
          .delete({ abortSignal, conditions: { ifMatch: etag } });
        return "done" as const;
      }),
  };
}

function replacing(etag: string | undefined): BlobRequestConditions {
  return etag === undefined ? { ifNoneMatch: "*" } : { ifMatch: etag };
}

/** 404: what was to be copied, changed or deleted is gone. 409: something is there. 412: it is another one. */
const CHANGED: ReadonlySet<string> = new Set([
  "BlobNotFound",
  "CannotVerifyCopySource",
  "BlobAlreadyExists",
  "ConditionNotMet",
  "SourceConditionNotMet",
  "TargetConditionNotMet",
  "PendingCopyOperation",
]);

async function unlessChanged<T>(
  where: string,
  identity: Identity,
  write: () => Promise<T>,
): Promise<T | "changed"> {
  try {
    return await write();
  } catch (error) {
    if (error instanceof RestError && CHANGED.has(error.code ?? "")) return "changed";
    throw storageError(error, where, identity);
  }
}
