import type { Identity } from "../identity.ts";
import type { Metadata } from "./claims.ts";

/**
 * The port to a store's writes. Paths are relative to the container. Each write names what it replaces, so that none is
 * lost: `changed` says that something else is there by now, or that the source is not what it was.
 */
export interface ModelCopies {
  /** Copies a blob within a container, on the side of the store. @throws STORAGE_*, HOST_NOT_ALLOWED */
  readonly copy: (
    store: string,
    copy: BlobCopy,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<CopyResult>;
  /** Writes a small blob as a whole. @throws as `copy` */
  readonly write: (
    store: string,
    blob: SmallBlob,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<"done" | "changed">;
  /** @throws as `copy` */
  readonly setMetadata: (
    store: string,
    blob: BlobVersion & { readonly metadata: Metadata },
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<"done" | "changed">;
  /** @throws as `copy` */
  readonly remove: (
    store: string,
    blob: BlobVersion,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<"done" | "changed">;
}

/** `pending`: the store goes on with it. */
export type CopyResult = "done" | "pending" | "changed";

export interface BlobVersion {
  readonly path: string;
  readonly etag: string;
}

export interface BlobCopy {
  readonly from: BlobVersion;
  readonly to: string;
  /** The ETag of what is at `to`; undefined: nothing. */
  readonly replaces: string | undefined;
}

export interface SmallBlob {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly metadata: Metadata;
  /** The ETag of what is at `path`; undefined: nothing. */
  readonly replaces: string | undefined;
}
