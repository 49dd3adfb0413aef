import { BundlePath, MANIFEST } from "../../crds/bundle.ts";
import { OperatorError } from "../errors.ts";
import type { Identity } from "../sources/identity.ts";
import { listingDigest, manifestDigest, parseManifest } from "../sources/model/manifest.ts";
import type { ModelLocation, ModelStore, StoredFile } from "../sources/model/model-store.ts";
import type { BundleFile } from "./download.ts";
import { withRetries, type RetryOptions } from "./retry.ts";

/** The model version of a release. */
export interface ModelVersion extends ModelLocation {
  readonly version: string;
  /** The digest that the release has; the pull refuses any other. */
  readonly digest: string;
  readonly identity: Identity;
}

export interface Bundle {
  readonly files: readonly BundleFile[];
  /** The bytes of manifest.json; undefined for a folder without one. */
  readonly manifest: Uint8Array | undefined;
}

/** The files of a version, once its digest is checked. @throws MODEL_CHECKSUM_MISMATCH, MODEL_NOT_FOUND, MANIFEST_INVALID */
export async function readBundle(
  model: ModelVersion,
  store: ModelStore,
  retry: RetryOptions,
  signal: AbortSignal,
): Promise<Bundle> {
  const { version, digest, identity } = model;
  const where = `${model.store}/${model.name}/${version}/`;
  const manifest = await withRetries(
    (bounded) => store.readManifest(model, version, undefined, identity, bounded),
    where,
    retry,
    signal,
  );
  if (manifest !== undefined && manifest !== "unchanged") {
    const { bytes } = manifest;
    checkDigest(manifestDigest(bytes), digest, where);
    const { files } = parseManifest(bytes, `${where}${MANIFEST}`);
    checkPaths(files, where);
    return { files: files.map((file) => ({ ...file, etag: undefined })), manifest: bytes };
  }
  const listed = await withRetries(
    (bounded) => store.listFiles(model, version, identity, bounded),
    where,
    retry,
    signal,
  );
  if (listed.length === 0) {
    throw new OperatorError(
      "MODEL_NOT_FOUND",
      `${where} is no longer there: publish it again, or name another version`,
    );
  }
  checkDigest(listingDigest(listed), digest, where);
  checkPaths(listed, where);
  return { files: listed.map((file) => toBundleFile(file, where)), manifest: undefined };
}

function checkDigest(actual: string, expected: string, where: string): void {
  if (actual === expected) return;
  throw new OperatorError(
    "MODEL_CHECKSUM_MISMATCH",
    `${where} has the digest ${actual.slice(0, 19)}…, the release has ${expected.slice(0, 19)}…: the version was changed after its release; publish a new version`,
  );
}

/** A store may hold `extra` beside `extra/a.txt`; a disk cannot. */
function checkPaths(files: readonly { readonly path: string }[], where: string): void {
  const folders = new Set(files.flatMap(({ path }) => foldersOf(path)));
  const both = files.find(({ path }) => folders.has(path));
  if (both === undefined) return;
  throw new OperatorError(
    "MANIFEST_INVALID",
    `${where} has a file and a folder of the same name, ${JSON.stringify(both.path)}: rename one`,
  );
}

function foldersOf(path: string): readonly string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

function toBundleFile({ path, size, etag }: StoredFile, where: string): BundleFile {
  if (!BundlePath.safeParse(path).success) {
    throw new OperatorError(
      "MANIFEST_INVALID",
      `${where} holds a file with a name that cannot be used, ${JSON.stringify(path)}: rename it to letters, digits and _.@+=,-`,
    );
  }
  return { path, size, etag, sha256: undefined };
}
