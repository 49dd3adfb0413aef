import type { ErrorCode } from "../errors.ts";

/** Of keepers a poll also writes: the copy of what a release needs, where it is missing. */
export const sourceKinds = ["image", "model", "imageKeeper", "modelKeeper"] as const;
export type SourceKind = (typeof sourceKinds)[number];

/** What the operator polls: a tag in a registry or a model in a store, each read with one identity. */
export interface Source<V extends Seen = Seen> {
  /** Sources with the same key share one poll: same reference, same identity. */
  readonly key: string;
  /** For metrics. */
  readonly kind: SourceKind;
  /** Concurrency limits apply per host. */
  readonly host: string;
  /** Retry-After applies to one identity at a host: the key of the identity, which reveals nothing of it. */
  readonly login: string;
  /** Reads the source once; `previous` makes the read conditional. Throws an OperatorError when it cannot be read. */
  poll(previous: V | undefined, signal: AbortSignal): Promise<V>;
}

/** What a poll found. Two results with the same digest are the same. */
export interface Seen {
  readonly digest: string;
}

export interface ImageSeen extends Seen {
  readonly kind: "image";
  /** The reference that has the digest: `spec.image`, or the repository with the tag that imagePolicy selects. */
  readonly image: string;
  /** Identifies the last push to the repository, where imagePolicy selects a tag and the registry reports it. */
  readonly lastPush: string | undefined;
}

export interface ModelSeen extends Seen {
  readonly kind: "model";
  /** The version folder that `spec.modelVersion` selects. */
  readonly version: string;
  /** ETag of manifest.json; undefined for a folder without one. */
  readonly etag: string | undefined;
  /** Of all files together, as the manifest or the listing says. */
  readonly bytes: number;
}

/** What became of the copy that is to survive a deletion. */
export interface KeptSeen extends Seen {
  readonly kind: "kept";
  /**
   * `Refused`: the identity has no right to write. `Impossible`: no right would help. `Lost`: nor is the original whole.
   */
  readonly state: "Kept" | "Copying" | "Refused" | "Impossible" | "Lost";
  /** Where the copy is, or why there is none and what to do. */
  readonly message: string;
}

export function keptAs(state: KeptSeen["state"], message: string): KeptSeen {
  return { kind: "kept", state, message, digest: `${state} ${message}` };
}

export interface SourceError {
  readonly code: ErrorCode;
  readonly message: string;
  /** When the first of the consecutive polls that failed with this code ended. */
  readonly since: number;
}

/** What is known of a source. Times are milliseconds since the epoch. */
export interface SourceState<V extends Seen = Seen> {
  /** The result of the last poll that succeeded; kept while polls fail. */
  readonly value: V | undefined;
  /** When the poll that found this digest ended. */
  readonly changedAt: number | undefined;
  /** When the last poll that succeeded began: it has seen everything published before that. */
  readonly checkedAt: number | undefined;
  readonly nextCheckAt: number | undefined;
  /** Why the last poll failed; undefined when it succeeded. */
  readonly error: SourceError | undefined;
}
