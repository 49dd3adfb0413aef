import type { ErrorCode } from "../errors.ts";

/** Something that is polled: a tag in a registry, a model in a store, each as seen by one identity. */
export interface Source<V extends Seen = Seen> {
  /** Same key, same poll: whoever names the same source with the same identity shares it. */
  readonly key: string;
  /** For metrics. */
  readonly kind: "image" | "model";
  /** What is limited and told to slow down together. */
  readonly host: string;
  /** One conditional look. Throws an OperatorError when nothing can be told. */
  poll(previous: V | undefined, signal: AbortSignal): Promise<V>;
}

/** What a poll saw. Two sights are the same when their digests are. */
export interface Seen {
  readonly digest: string;
}

export interface ImageSeen extends Seen {
  readonly kind: "image";
  /** What the digest is of: `spec.image`, or the repository with the tag that was chosen. */
  readonly image: string;
  /** Stands for the newest push to the repository, where tags are chosen and the registry tells. */
  readonly mark: string | undefined;
}

export interface ModelSeen extends Seen {
  readonly kind: "model";
  /** The version folder that the selector means now. */
  readonly version: string;
  /** ETag of manifest.json; undefined for a folder without one. */
  readonly etag: string | undefined;
}

export interface SourceError {
  readonly code: ErrorCode;
  readonly message: string;
  /** When it was first met in a row. */
  readonly since: number;
}

/** What is known of a source. Times in milliseconds since the epoch. */
export interface SourceState<V extends Seen = Seen> {
  /** The last good sight: kept while polls fail. */
  readonly value: V | undefined;
  /** When a poll that saw something new had ended. */
  readonly changedAt: number | undefined;
  /** When the last good poll began: what was there before, it has seen. */
  readonly checkedAt: number | undefined;
  readonly nextCheckAt: number | undefined;
  /** Why the last poll failed; undefined when it did not. */
  readonly error: SourceError | undefined;
}
