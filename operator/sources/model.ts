import { createHash } from "node:crypto";

import { Manifest } from "../../crds/bundle.ts";
import { OperatorError } from "../errors.ts";
import { identityKey, type Identity } from "./identity.ts";
import type { ModelSeen, Source } from "./source.ts";
import { candidates, type Selector, type VersionOrder } from "./versions.ts";

/** The port to model stores. All reads are bounded; versions live at `<store>/<name>/<version>/`. */
export interface ModelStore {
  /** Names of the version folders, by one delimiter listing. */
  readonly listVersions: (
    model: ModelLocation,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<readonly string[]>;
  /** `unchanged` when the ETag still holds; undefined when there is no manifest. */
  readonly readManifest: (
    model: ModelLocation,
    version: string,
    etag: string | undefined,
    identity: Identity,
    signal: AbortSignal,
  ) => Promise<"unchanged" | { readonly etag: string; readonly bytes: Uint8Array } | undefined>;
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
  /** Below the version folder. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly etag: string;
  /** False while a block blob has never been committed. */
  readonly committed: boolean;
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The digest of a folder without a manifest: of what its listing says. */
export function listingDigest(files: readonly StoredFile[]): string {
  const lines = files
    .map(({ path, size, etag }) => JSON.stringify([path, size, etag]))
    .toSorted()
    .join("\n");
  return `sha256:${sha256(lines)}`;
}

/** @throws MANIFEST_INVALID saying where and what */
export function parseManifest(bytes: Uint8Array, where: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new OperatorError(
      "MANIFEST_INVALID",
      `${where} is not JSON: publish the version again with aiapp publish`,
      { cause },
    );
  }
  const parsed = Manifest.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new OperatorError(
      "MANIFEST_INVALID",
      `${where}: ${issue?.path.join(".") ?? ""} ${issue?.message ?? "is wrong"}; publish the version again with aiapp publish`,
    );
  }
  return parsed.data;
}

export interface ModelQuery {
  readonly location: ModelLocation;
  readonly selector: Selector;
  readonly order: VersionOrder;
  readonly requireManifest: boolean;
}

/** How many of the newest versions are looked at for a manifest. */
const MAX_LOOKS = 10;

/** What the poller polls for `spec.model` and `spec.modelVersion`. */
export function modelSource(
  store: ModelStore,
  query: ModelQuery,
  identity: Identity,
): Source<ModelSeen> {
  const { location, selector } = query;
  const folder = `${location.store}/${location.name}`;
  /** The digest of a manifest-less folder's listing at the last poll: it counts once it is the same twice. */
  let lastListing: string | undefined;

  async function look(
    version: string,
    previous: ModelSeen | undefined,
    signal: AbortSignal,
  ): Promise<ModelSeen | undefined> {
    const known = previous?.version === version ? previous : undefined;
    const read = await store.readManifest(location, version, known?.etag, identity, signal);
    if (read === "unchanged" && known !== undefined) return known;
    if (read === undefined || read === "unchanged") return undefined;
    const manifest = parseManifest(read.bytes, `${folder}/${version}/manifest.json`);
    if (manifest.version !== version) {
      throw new OperatorError(
        "MANIFEST_INVALID",
        `${folder}/${version}/manifest.json is that of version ${manifest.version}: publish ${version} itself with aiapp publish`,
      );
    }
    return { kind: "model", version, digest: `sha256:${sha256(read.bytes)}`, etag: read.etag };
  }

  /** A folder into which files were dropped by hand: taken once it rests. */
  async function lookAtFolder(version: string, signal: AbortSignal): Promise<ModelSeen> {
    const files = await store.listFiles(location, version, identity, signal);
    if (files.length === 0) {
      throw new OperatorError(
        "MODEL_NOT_FOUND",
        `${folder}/${version}/ is not there: publish it with aiapp publish, or correct spec.modelVersion`,
      );
    }
    if (query.requireManifest) {
      throw new OperatorError(
        "MODEL_INCOMPLETE",
        `${folder}/${version}/ has no manifest.json yet: its publisher is not done, or did not use aiapp publish (spec.model.requireManifest)`,
      );
    }
    const digest = listingDigest(files);
    const rested = lastListing === digest && files.every(({ committed }) => committed);
    lastListing = digest;
    if (!rested) {
      throw new OperatorError(
        "MODEL_INCOMPLETE",
        `${folder}/${version}/ has no manifest.json, so it is taken once its files rest between two polls: ${files.length} seen, still growing`,
      );
    }
    return { kind: "model", version, digest, etag: undefined };
  }

  async function newest(previous: ModelSeen | undefined, signal: AbortSignal): Promise<ModelSeen> {
    if (selector.kind === "exact") throw new TypeError("an exact version is not chosen");
    const versions = await store.listVersions(location, identity, signal);
    if (versions.length === 0) {
      throw new OperatorError(
        "MODEL_NOT_FOUND",
        `${folder}/ holds no version: publish one with aiapp publish, or correct spec.model; what serves goes on serving`,
      );
    }
    const admitted = candidates(versions, selector, query.order);
    for (const version of admitted.slice(0, MAX_LOOKS)) {
      const seen = await look(version, previous, signal);
      if (seen !== undefined) return seen;
      if (!query.requireManifest) return lookAtFolder(version, signal);
    }
    const wanted = selector.kind === "latest" ? "latest" : JSON.stringify(selector.range);
    throw new OperatorError(
      admitted.length === 0 ? "MODEL_NOT_FOUND" : "MODEL_INCOMPLETE",
      admitted.length === 0
        ? `none of the ${versions.length} versions in ${folder}/ is ${wanted}`
        : `none of the newest versions in ${folder}/ that are ${wanted} has a manifest.json: publish with aiapp publish`,
    );
  }

  return {
    key: `model ${JSON.stringify(query)} ${identityKey(identity)}`,
    kind: "model",
    host: new URL(location.store).host,
    poll: async (previous, signal) => {
      if (selector.kind !== "exact") return newest(previous, signal);
      return (
        (await look(selector.version, previous, signal)) ?? lookAtFolder(selector.version, signal)
      );
    },
  };
}
