import { MANIFEST } from "../../../crds/bundle.ts";
import type { Selector } from "../../../crds/grammar/selector.ts";
import type { VersionOrder } from "../../../crds/grammar/version-kind.ts";
import { selectVersions } from "../../../crds/grammar/version-order.ts";
import { OperatorError, withOperatorErrors } from "../../errors.ts";
import { identityKey, type Identity } from "../identity.ts";
import type { ModelSeen, Source } from "../source.ts";
import { listingDigest, manifestDigest, parseManifest } from "./manifest.ts";
import type { ModelLocation, ModelStore } from "./model-store.ts";

export interface ModelQuery {
  readonly location: ModelLocation;
  readonly selector: Selector;
  readonly order: VersionOrder;
  readonly requireManifest: boolean;
}

/** The source of `spec.model` and `spec.modelVersion`. */
export function modelSource(
  store: ModelStore,
  query: ModelQuery,
  identity: Identity,
): Source<ModelSeen> {
  const reader = createReader(store, query, identity);
  const { location, selector } = query;
  return {
    key: `model ${JSON.stringify(query)} ${identityKey(identity)}`,
    kind: "model",
    host: new URL(location.store).host,
    login: identityKey(identity),
    poll: async (previous, signal) => {
      if (selector.kind !== "exact") {
        const versions = await store.listVersions(location, identity, signal);
        return newestPublished(versions, { ...query, selector }, reader, previous, signal);
      }
      const { version } = selector;
      return (
        (await reader.readPublished(version, previous, signal)) ??
        reader.readFolder(version, signal)
      );
    },
  };
}

/** Reads one version folder. */
interface VersionReader {
  /** By its manifest; undefined for a folder without one. */
  readonly readPublished: (
    version: string,
    previous: ModelSeen | undefined,
    signal: AbortSignal,
  ) => Promise<ModelSeen | undefined>;
  /** By its listing, for a folder into which files were copied by hand. */
  readonly readFolder: (version: string, signal: AbortSignal) => Promise<ModelSeen>;
}

function createReader(store: ModelStore, query: ModelQuery, identity: Identity): VersionReader {
  const { location } = query;
  const folder = folderOf(location);
  /** A folder without a manifest counts once two polls have found the same listing. */
  let lastListing: string | undefined;

  return {
    readPublished: async (version, previous, signal) => {
      const known = previous?.version === version ? previous : undefined;
      const read = await store.readManifest(location, version, known?.etag, identity, signal);
      if (read === "unchanged") return known;
      if (read === undefined) return undefined;
      const where = `${folder}/${version}/${MANIFEST}`;
      const manifest = parseManifest(read.bytes, where);
      if (manifest.version !== version) {
        throw new OperatorError(
          "MANIFEST_INVALID",
          `${where} is that of version ${manifest.version}: publish ${version} itself with aiapp publish`,
        );
      }
      return { kind: "model", version, digest: manifestDigest(read.bytes), etag: read.etag };
    },

    readFolder: async (version, signal) => {
      const files = await store.listFiles(location, version, identity, signal);
      if (files.length === 0) throw noSuchVersion(folder, version);
      if (query.requireManifest) throw manifestMissing(folder, version);
      const digest = listingDigest(files);
      const isUnchanged = lastListing === digest && files.every(({ committed }) => committed);
      lastListing = digest;
      if (!isUnchanged) throw stillChanging(folder, version, files.length);
      return { kind: "model", version, digest, etag: undefined };
    },
  };
}

/** How many of the newest versions are tried when they have no manifest. */
const MAX_TRIED = 10;

async function newestPublished(
  versions: readonly string[],
  query: ModelQuery & { readonly selector: Exclude<Selector, { kind: "exact" }> },
  reader: VersionReader,
  previous: ModelSeen | undefined,
  signal: AbortSignal,
): Promise<ModelSeen> {
  const { location, selector, order, requireManifest } = query;
  const folder = folderOf(location);
  if (versions.length === 0) {
    throw new OperatorError(
      "MODEL_NOT_FOUND",
      `${folder}/ has no version: publish one with aiapp publish, or correct spec.model; the current release keeps serving`,
    );
  }
  const selected = withOperatorErrors(() => selectVersions(versions, selector, order));
  for (const version of selected.slice(0, MAX_TRIED)) {
    const found = await reader.readPublished(version, previous, signal);
    if (found !== undefined) return found;
    if (!requireManifest) return reader.readFolder(version, signal);
  }
  const wanted = selector.kind === "latest" ? "latest" : JSON.stringify(selector.range);
  throw selected.length === 0
    ? new OperatorError(
        "MODEL_NOT_FOUND",
        `none of the ${versions.length} versions in ${folder}/ is ${wanted}: publish one that is, or correct spec.modelVersion`,
      )
    : new OperatorError(
        "MODEL_INCOMPLETE",
        `none of the newest versions in ${folder}/ that are ${wanted} has a ${MANIFEST}: publish with aiapp publish`,
      );
}

function folderOf({ store, name }: ModelLocation): string {
  return `${store}/${name}`;
}

function noSuchVersion(folder: string, version: string): OperatorError {
  return new OperatorError(
    "MODEL_NOT_FOUND",
    `${folder}/${version}/ is not there: publish it with aiapp publish, or correct spec.modelVersion`,
  );
}

function manifestMissing(folder: string, version: string): OperatorError {
  return new OperatorError(
    "MODEL_INCOMPLETE",
    `${folder}/${version}/ has no ${MANIFEST} yet: its upload has not finished, or it was not published with aiapp publish (spec.model.requireManifest)`,
  );
}

function stillChanging(folder: string, version: string, files: number): OperatorError {
  return new OperatorError(
    "MODEL_INCOMPLETE",
    `${folder}/${version}/ has no ${MANIFEST}, so it counts once two polls find the same files: ${files} found, still changing`,
  );
}
