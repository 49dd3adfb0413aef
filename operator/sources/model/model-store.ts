import type { Identity } from "../identity.ts";

/** The port to model stores. All reads are bounded. Versions are at `<store>/<name>/<version>/`. */
export interface ModelStore {
  /** Names of the version folders, by one delimiter listing. @throws STORAGE_*, CREDENTIALS_MISSING, HOST_NOT_ALLOWED */
  readonly listVersions: (
    model: ModelLocation,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<readonly string[]>;
  /** `unchanged` when the ETag still matches; undefined when there is no manifest. @throws as `listVersions` */
  readonly readManifest: (
    model: ModelLocation,
    version: string,
    etag: string | undefined,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<"unchanged" | { readonly etag: string; readonly bytes: Uint8Array } | undefined>;
  /** All files of a version folder. @throws as `listVersions` */
  readonly listFiles: (
    model: ModelLocation,
    version: string,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<readonly StoredFile[]>;
}

export interface ModelLocation {
  /** The container's URL. */
  readonly store: string;
  readonly name: string;
}

export interface StoredFile {
  /** Relative to the version folder. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly etag: string;
  /** False for a block blob of which no block has been committed. */
  readonly committed: boolean;
  /** Milliseconds since the epoch: when its bytes or its metadata were last written. */
  readonly modifiedAt: number;
  /** Whether a copy on the side of the store, by which the blob was written, has ended. */
  readonly copy: "done" | "pending" | "failed";
  /** Of manifest.json; else undefined. */
  readonly metadata: Readonly<Record<string, string>> | undefined;
}
