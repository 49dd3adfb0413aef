import PQueue from "p-queue";

import { MANIFEST, type ManifestFile } from "../../../crds/bundle.ts";
import type { Clock } from "../../clock.ts";
import { isOperatorError } from "../../errors.ts";
import { identityKey, type Identity } from "../identity.ts";
import { manifestDigest, parseManifest } from "../model/manifest.ts";
import type { ModelLocation, ModelStore, StoredFile } from "../model/model-store.ts";
import { parseStore } from "../model/store-url.ts";
import { keptAs, type KeptSeen, type Source } from "../source.ts";
import { renewed } from "./claims.ts";
import type { CopyResult, ModelCopies } from "./model-copies.ts";
import { KEPT_FOLDER, keptVersionOf } from "./names.ts";

/** The model version of a release that served. */
export interface ModelNeed {
  readonly location: ModelLocation;
  readonly version: string;
  readonly digest: string;
  /**
   * Milliseconds since the epoch: pods have pulled the version after this time, and checked the sha256 of each file. Files
   * that were not written since have these bytes.
   */
  readonly verifiedSince: number;
  /** The uid of the AIApp. */
  readonly claimant: string;
}

export interface KeeperTools {
  readonly models: Pick<ModelStore, "readManifest" | "listFiles">;
  readonly copies: ModelCopies;
  readonly clock: Pick<Clock, "now">;
  /** Called after a poll that found the copy: the time to delete what no app needs any more. */
  readonly sweep: (store: string, identity: Identity, signal: AbortSignal) => Promise<void>;
}

/** Of all files of a version that is kept. */
const MAX_BYTES = 2 ** 40;
/** Per poll; the next one goes on. */
const MAX_COPIES = 256;
const PARALLEL_COPIES = 4;
/** Apps that release at once write to the same copy. */
const ATTEMPTS = 4;
/** Half of what a poll may take. */
const COPYING_MS = 10_000;

/**
 * Keeps the model version of a release: a copy of the bundle in the same container. The store copies each file itself, as
 * it is pinned by its ETag; the manifest is written last, so that a copy without it does not count. Each poll does a
 * bounded part of what is missing, and any number of processes may do the same at once.
 */
export function modelKeeper(
  tools: KeeperTools,
  need: ModelNeed,
  identity: Identity,
): Source<KeptSeen> {
  const { location, digest, version, claimant, verifiedSince } = need;
  return {
    key: `keep model ${JSON.stringify([location, version, digest, claimant, verifiedSince])} ${identityKey(identity)}`,
    kind: "modelKeeper",
    host: parseStore(location.store).host,
    login: identityKey(identity),
    poll: async (_, signal) => {
      const keeper = new ModelKeeper(tools, need, identity, signal);
      try {
        return await keeper.keep();
      } catch (error) {
        if (!(error instanceof WriteRefused)) throw error;
        return keptAs("Refused", describeRefusal(location.store, identity));
      }
    },
  };
}

/** The store refuses a write. Reads that it refuses are errors of the poll. */
class WriteRefused extends Error {}

class ModelKeeper {
  readonly #tools: KeeperTools;
  readonly #need: ModelNeed;
  readonly #identity: Identity;
  readonly #signal: AbortSignal;
  readonly #folder: string;
  readonly #startedAt: number;

  constructor(tools: KeeperTools, need: ModelNeed, identity: Identity, signal: AbortSignal) {
    this.#tools = tools;
    this.#need = need;
    this.#identity = identity;
    this.#signal = signal;
    this.#folder = `${KEPT_FOLDER}/${keptVersionOf(need.digest)}`;
    this.#startedAt = tools.clock.now();
  }

  async keep(): Promise<KeptSeen> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const found = await this.#attempt();
      if (found !== "changed") return found;
    }
    return keptAs("Copying", `other apps write to ${this.#need.location.store}/${this.#folder}`);
  }

  /** `changed`: another app wrote meanwhile to what this one read. */
  async #attempt(): Promise<KeptSeen | "changed"> {
    const { models } = this.#tools;
    const { location, digest } = this.#need;
    const { store } = location;
    const kept = { store, name: KEPT_FOLDER };
    const present = byPath(
      await models.listFiles(kept, keptVersionOf(digest), this.#identity, this.#signal),
    );
    const manifest = present.get(MANIFEST);
    if (manifest !== undefined) {
      const bytes = await this.#readManifest(kept, keptVersionOf(digest));
      const files = bytes && parseManifest(bytes, `${store}/${this.#folder}/${MANIFEST}`).files;
      if (files?.every((file) => isComplete(present.get(file.path), file)) === true)
        return this.#found(manifest);
    }
    return this.#copy(present);
  }

  /** The bytes of the manifest with the release's digest; undefined when there is none, or another one. */
  async #readManifest(location: ModelLocation, version: string): Promise<Uint8Array | undefined> {
    const { models } = this.#tools;
    const read = await models.readManifest(
      location,
      version,
      undefined,
      this.#identity,
      this.#signal,
    );
    if (read === undefined || read === "unchanged") return undefined;
    return manifestDigest(read.bytes) === this.#need.digest ? read.bytes : undefined;
  }

  /** The copy is complete. */
  async #found({ etag, metadata }: StoredFile): Promise<KeptSeen | "changed"> {
    const { copies, clock, sweep } = this.#tools;
    const { store } = this.#need.location;
    const claimed = renewed(metadata, this.#need.claimant, clock.now());
    const where = `${store}/${this.#folder}`;
    if (this.#identity.kind === "anonymous") return keptAs("Kept", where);
    if (claimed !== undefined) {
      const blob = { path: `${this.#folder}/${MANIFEST}`, etag, metadata: claimed };
      try {
        const result = await this.#write(() =>
          copies.setMetadata(store, blob, this.#identity, this.#signal),
        );
        if (result === "changed") return "changed";
      } catch (error) {
        if (!(error instanceof WriteRefused)) throw error;
        const why = describeRefusal(store, this.#identity);
        return keptAs("Kept", `${where}, but others may delete it in two weeks: ${why}`);
      }
    }
    await sweep(store, this.#identity, this.#signal);
    return keptAs("Kept", where);
  }

  async #copy(present: ReadonlyMap<string, StoredFile>): Promise<KeptSeen | "changed"> {
    const { models, copies, clock } = this.#tools;
    const { location, version, verifiedSince } = this.#need;
    const { store, name } = location;
    const where = `${store}/${name}/${version}`;
    const bytes = await this.#readManifest(location, version);
    if (bytes === undefined)
      return keptAs(
        "Impossible",
        `${where}/ has no ${MANIFEST} of the release's digest: only a version that aiapp publish published, and that did not change, can be kept`,
      );
    const { files } = parseManifest(bytes, `${where}/${MANIFEST}`);
    const total = files.reduce((sum, { size }) => sum + size, 0);
    if (total > MAX_BYTES)
      return keptAs("Impossible", `${where}/ has more than ${MAX_BYTES} bytes`);
    const missing = files.filter((file) => !isComplete(present.get(file.path), file));
    const source = byPath(await models.listFiles(location, version, this.#identity, this.#signal));
    // What is copied already was checked then.
    const lost = missing.find((file) => !isComplete(source.get(file.path), file));
    if (lost !== undefined)
      return keptAs(
        "Lost",
        `${where}/${lost.path} is gone, or has another size than in its manifest`,
      );
    const changed = missing.find(
      ({ path }) => !((source.get(path)?.modifiedAt ?? Number.NaN) <= verifiedSince),
    );
    if (changed !== undefined)
      return keptAs(
        "Impossible",
        `${where}/${changed.path} was written again after the release, so that its bytes are not known to be those of the release: publish a new version`,
      );
    if (this.#identity.kind === "anonymous") throw new WriteRefused();
    const copied = await this.#copyFiles(missing, present, source);
    if (copied === "changed") return "changed";
    if (copied === "pending")
      return keptAs("Copying", `copying ${files.length} files to ${store}/${this.#folder}`);
    const there = present.get(MANIFEST);
    // Those of other apps stay.
    const claims = there?.metadata ?? {};
    const metadata = renewed(claims, this.#need.claimant, clock.now()) ?? claims;
    const path = `${this.#folder}/${MANIFEST}`;
    const manifest = { path, bytes, metadata, replaces: there?.etag };
    const result = await this.#write(() =>
      copies.write(store, manifest, this.#identity, this.#signal),
    );
    return result === "changed" ? "changed" : keptAs("Kept", `${store}/${this.#folder}`);
  }

  /** `pending`: not all are copied yet. */
  async #copyFiles(
    files: readonly ManifestFile[],
    present: ReadonlyMap<string, StoredFile>,
    source: ReadonlyMap<string, StoredFile>,
  ): Promise<CopyResult> {
    const { copies, clock } = this.#tools;
    const { store, name } = this.#need.location;
    const queue = new PQueue({ concurrency: PARALLEL_COPIES });
    const stop = new AbortController();
    const either = AbortSignal.any([this.#signal, stop.signal]);
    const copyOne = async ({ path }: ManifestFile): Promise<CopyResult> => {
      const [there, original] = [present.get(path), source.get(path)];
      if (there?.copy === "pending" || original === undefined) return "pending";
      if (clock.now() - this.#startedAt >= COPYING_MS) return "pending";
      const from = { path: `${name}/${this.#need.version}/${path}`, etag: original.etag };
      const copy = { from, to: `${this.#folder}/${path}`, replaces: there?.etag };
      return this.#write(() => copies.copy(store, copy, this.#identity, either));
    };
    const copied = files.slice(0, MAX_COPIES).map((file) => queue.add(() => copyOne(file)));
    try {
      const results = await Promise.all(copied);
      if (files.length > MAX_COPIES || results.includes("pending")) return "pending";
      return results.includes("changed") ? "changed" : "done";
    } catch (error) {
      stop.abort();
      queue.clear();
      await queue.onIdle();
      throw error;
    }
  }

  async #write<T>(write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      if (isOperatorError(error, "STORAGE_AUTH_FAILED")) throw new WriteRefused();
      throw error;
    }
  }
}

function byPath(files: readonly StoredFile[]): ReadonlyMap<string, StoredFile> {
  return new Map(files.map((file) => [file.path, file]));
}

function isComplete(stored: StoredFile | undefined, { size }: ManifestFile): boolean {
  return stored?.size === size && stored.copy === "done" && stored.committed;
}

function describeRefusal(store: string, identity: Identity): string {
  const what = `the identity may not write to ${store}: `;
  switch (identity.kind) {
    case "workload":
      return `${what}grant the managed identity of ServiceAccount ${identity.namespace}/${identity.serviceAccount} the role Storage Blob Data Contributor on the container`;
    case "sas":
      return `${what}create a SAS token for the container with sp=rcwdl (read, create, write, delete, list)`;
    case "anonymous":
      return `${what}it is read anonymously; name a Secret in spec.credentials.storage, or use workload identity`;
    case "accountKey":
    case "basic":
      return `${what}check the account's locks and immutability policies`;
  }
}
