import { MANIFEST } from "../../../crds/bundle.ts";
import type { Selector } from "../../../crds/grammar/selector.ts";
import type { VersionOrder } from "../../../crds/grammar/version-kind.ts";
import { selectInSteps } from "../../../crds/grammar/version-order.ts";
import { systemClock, type Clock } from "../../clock.ts";
import { asOperatorError, OperatorError } from "../../errors.ts";
import { createSlices, type Slices } from "../../slices.ts";
import { identityKey, type Identity } from "../identity.ts";
import type { ModelSeen, Source } from "../source.ts";
import { listingDigest, manifestDigest, parseManifest, sha256, totalBytes } from "./manifest.ts";
import type { ModelLocation, ModelStore } from "./model-store.ts";
import { parseStore } from "./store-url.ts";

export interface ModelQuery {
  readonly location: ModelLocation;
  readonly selector: Selector;
  readonly order: VersionOrder;
  readonly requireManifest: boolean;
}

/** The source of `spec.model` and `spec.modelVersion`. @throws HOST_NOT_ALLOWED when the store is no URL of a container */
export function modelSource(
  store: ModelStore,
  query: ModelQuery,
  identity: Identity,
  slices: Slices = createSlices(),
  clock: Pick<Clock, "now"> = systemClock,
): Source<ModelSeen> {
  const reader = createReader(store, query, identity);
  const select = createSelect(slices);
  const { location, selector } = query;
  return {
    key: `model ${JSON.stringify(query)} ${identityKey(identity)}`,
    kind: "model",
    host: parseStore(location.store).host,
    login: identityKey(identity),
    poll: async (previous, signal) => {
      if (selector.kind !== "exact") {
        const versions = await store.listVersions(location, identity, signal);
        return newestPublished(
          versions,
          { ...query, selector },
          { reader, previous, clock, select },
          signal,
        );
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
      const bytes = totalBytes(manifest.files) + read.bytes.byteLength;
      return { kind: "model", version, digest: manifestDigest(read.bytes), etag: read.etag, bytes };
    },

    readFolder: async (version, signal) => {
      const files = await store.listFiles(location, version, identity, signal);
      if (files.length === 0) throw noSuchVersion(folder, version);
      if (query.requireManifest) throw manifestMissing(folder, version);
      const digest = listingDigest(files);
      const before = lastListing;
      lastListing = digest;
      const uncommitted = files.find(({ committed }) => !committed);
      if (uncommitted !== undefined) throw stillUploading(folder, version, uncommitted.path);
      if (before !== digest) throw notYetTwice(folder, version, files.length, before);
      return { kind: "model", version, digest, etag: undefined, bytes: totalBytes(files) };
    },
  };
}

/** How long versions are tried, the newest first, that have no manifest yet: half of what a poll may take. */
const SEARCH_MS = 10_000;

type Select = (
  versions: readonly string[],
  selector: Exclude<Selector, { kind: "exact" }>,
  order: VersionOrder,
  signal: AbortSignal,
) => Promise<readonly string[]>;

/** Sorts a list once, and not again while it stays the same: 10,000 versions take a fraction of a second, in slices. */
function createSelect(slices: Slices): Select {
  let last: { readonly digest: string; readonly selected: readonly string[] } | undefined;
  return async (versions, selector, order, signal) => {
    const digest = sha256(versions.join("\n"));
    if (last?.digest !== digest) {
      const steps = selectInSteps(versions, selector, order);
      const selected = await slices.run(steps, signal).catch((error: unknown) => {
        throw asOperatorError(error);
      });
      last = { digest, selected };
    }
    return last.selected;
  };
}

interface Search {
  readonly select: Select;
  readonly reader: VersionReader;
  readonly previous: ModelSeen | undefined;
  readonly clock: Pick<Clock, "now">;
}

async function newestPublished(
  versions: readonly string[],
  query: ModelQuery & { readonly selector: Exclude<Selector, { kind: "exact" }> },
  { reader, previous, clock, select }: Search,
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
  const selected = await select(versions, selector, order, signal);
  const startedAt = clock.now();
  let checked = 0;
  for (const version of selected) {
    if (clock.now() - startedAt >= SEARCH_MS) break;
    const found = await reader.readPublished(version, previous, signal);
    if (found !== undefined) return found;
    if (!requireManifest) return reader.readFolder(version, signal);
    checked += 1;
  }
  const wanted = selector.kind === "latest" ? "latest" : JSON.stringify(selector.range);
  throw selected.length === 0
    ? new OperatorError(
        "MODEL_NOT_FOUND",
        `none of the ${versions.length} versions in ${folder}/ is ${wanted}: publish one that is, or correct spec.modelVersion`,
      )
    : new OperatorError(
        "MODEL_INCOMPLETE",
        `none of the newest ${checked} of ${selected.length} versions in ${folder}/ that are ${wanted} has a ${MANIFEST}: ${checked < selected.length ? "remove those whose upload was given up, or " : ""}publish with aiapp publish`,
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

/** @param before the listing of the poll before, if there was one */
function notYetTwice(
  folder: string,
  version: string,
  files: number,
  before: string | undefined,
): OperatorError {
  return new OperatorError(
    "MODEL_INCOMPLETE",
    `${folder}/${version}/ has no ${MANIFEST}, so it counts once two polls find the same files: ${files} found${before === undefined ? "; waiting for the next poll" : ", others than in the poll before"}`,
  );
}

function stillUploading(folder: string, version: string, path: string): OperatorError {
  return new OperatorError(
    "MODEL_INCOMPLETE",
    `${folder}/${version}/ has no ${MANIFEST}, and the upload of ${JSON.stringify(path.slice(0, 200))} has not finished: finish it, or remove the file`,
  );
}
