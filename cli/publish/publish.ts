import { createHash } from "node:crypto";

import type { ContainerClient } from "@azure/storage-blob";

import { MANIFEST, MAX_MANIFEST_BYTES, Manifest } from "../../crds/bundle.ts";
import { CliError } from "../errors.ts";
import { mapBounded, slots } from "./bounded.ts";
import type { StorageCredential } from "./credential.ts";
import { openContainer } from "./credential.ts";
import type { Destination } from "./destination.ts";
import { parseDestination } from "./destination.ts";
import type { DigestedFile } from "./digest.ts";
import { digestFile } from "./digest.ts";
import type { Folder } from "./folder.ts";
import { readFolder } from "./folder.ts";
import type { RemoteFolder } from "./remote.ts";
import { listVersion, parseManifest, readManifestBytes } from "./remote.ts";
import type { Request } from "./request.ts";
import { isConflict, requestsTo } from "./request.ts";
import { refuseOther, startOver, uploadFile } from "./upload.ts";

export type PublishEvent =
  | { readonly kind: "warning"; readonly message: string }
  | {
      readonly kind: "phase";
      readonly phase: "Digesting" | "Uploading";
      readonly files: number;
      readonly bytes: number;
    }
  | { readonly kind: "bytes"; readonly bytes: number }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly size: number;
      readonly how: "uploaded" | "present";
    }
  | {
      readonly kind: "retry";
      readonly what: string;
      readonly why: string;
      readonly pauseMs: number;
    };

export interface PublishOptions {
  readonly folder: string;
  /** `<store>/<name>/<version>`. */
  readonly to: string;
  readonly credential: StorageCredential;
  readonly now: () => number;
  readonly report?: (event: PublishEvent) => void;
  /** Concurrent requests. */
  readonly parallel?: number;
  /** Plain http to another machine. */
  readonly allowHttp?: boolean;
  readonly anyVersion?: boolean;
  /** A request that transfers no byte for this long is retried. */
  readonly stallMs?: number;
  readonly attempts?: number;
  readonly retryPauseMs?: number;
}

export interface Published {
  readonly store: string;
  readonly name: string;
  readonly version: string;
  /** `sha256:<hex>` of the exact bytes of manifest.json: `modelDigest` in the status of AIApps. */
  readonly digest: string;
  readonly files: number;
  readonly bytes: number;
  /** Files that this run sent; an interrupted run had sent the others. */
  readonly uploaded: number;
}

/**
 * Publishes a folder as one version: the files first, the manifest last. It overwrites nothing, and a second run
 * finishes an interrupted one.
 * @throws CliError for what the caller can fix; the signal's reason when aborted
 */
export async function publish(options: PublishOptions, signal: AbortSignal): Promise<Published> {
  const { report = () => {}, parallel = 4 } = options;
  const destination = parseDestination(options.to, options);
  const folder = await readFolder(options.folder, signal);
  for (const message of folder.warnings) report({ kind: "warning", message });

  const container = await openContainer(destination, options.credential);
  const request = requestsTo(
    destination,
    {
      stallMs: options.stallMs ?? 30_000,
      attempts: options.attempts ?? 5,
      pauseMs: options.retryPauseMs ?? 500,
    },
    (what, why, pauseMs) => report({ kind: "retry", what, why, pauseMs }),
  );
  const before = await listVersion(container, destination, request, signal);
  const bytes = folder.files.reduce((sum, file) => sum + file.size, 0);
  const onBytes = (bytes: number): void => report({ kind: "bytes", bytes });

  report({ kind: "phase", phase: "Digesting", files: folder.files.length, bytes });
  const files = await mapBounded(
    folder.files,
    2,
    (file, signal) => digestFile(file, onBytes, signal),
    signal,
  );
  checkOwnManifest(options.folder, folder, files);
  if (before.published)
    throw await alreadyPublished(container, destination, files, request, signal);
  refuseOtherContent(destination, files, before);

  report({ kind: "phase", phase: "Uploading", files: files.length, bytes });
  const inSlot = slots(parallel);
  const context = { container, destination, request, inSlot, onBytes };
  const hows = await mapBounded(
    files,
    parallel,
    async (file, signal) => {
      const present = before.files.has(file.path);
      if (present) onBytes(file.size);
      const how = present ? "present" : await uploadFile(context, file, signal);
      report({ kind: "file", path: file.path, size: file.size, how });
      return how;
    },
    signal,
  );
  await verifyFiles(container, destination, files, request, signal);

  const manifest = manifestOf(destination, folder, files, options.now());
  await putManifest(container, destination, manifest, files, request, signal);
  return {
    store: destination.store,
    name: destination.name,
    version: destination.version,
    digest: `sha256:${createHash("sha256").update(manifest).digest("hex")}`,
    files: files.length,
    bytes,
    uploaded: hows.filter((how) => how === "uploaded").length,
  };
}

/** Reuses the folder's own manifest, so that a bundle that is copied to a second store keeps its digest. */
function manifestOf(
  destination: Destination,
  folder: Folder,
  files: readonly DigestedFile[],
  now: number,
): Buffer {
  const own = folder.manifest;
  if (own?.content.name === destination.name && own.content.version === destination.version) {
    return own.bytes;
  }
  const manifest = Manifest.parse({
    formatVersion: 1,
    name: destination.name,
    version: destination.version,
    createdAt: new Date(now).toISOString(),
    files: files.map(({ path, size, sha256 }) => ({ path, size, sha256 })),
  });
  const bytes = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  if (bytes.length > MAX_MANIFEST_BYTES) {
    throw new CliError(
      "BundleInvalid",
      `The manifest would have ${bytes.length} bytes, above ${MAX_MANIFEST_BYTES}`,
      "Pack the files into fewer, or shorten their paths.",
    );
  }
  return bytes;
}

/** Checks the files against the folder's own manifest: a damaged bundle fails here, not in a pod. */
function checkOwnManifest(
  folder: string,
  { manifest }: Folder,
  files: readonly DigestedFile[],
): void {
  if (!manifest) return;
  const here = new Map(files.map((file) => [file.path, file.sha256]));
  const listed = new Map(manifest.content.files.map((file) => [file.path, file.sha256]));
  const wrong = [...new Set([...here.keys(), ...listed.keys()])].filter(
    (path) => here.get(path) !== listed.get(path),
  );
  if (wrong.length === 0) return;
  throw new CliError(
    "BundleInvalid",
    `${folder} does not match its own ${MANIFEST}: ${wrong.slice(0, 5).join(", ")}${wrong.length > 5 ? ", …" : ""}`,
    `Restore the files, or delete ${folder}/${MANIFEST} if the changes are intended.`,
  );
}

/** Refuses to finish an unfinished version with other files. */
function refuseOtherContent(
  destination: Destination,
  files: readonly DigestedFile[],
  there: RemoteFolder,
): void {
  const here = new Map(files.map((file) => [file.path, file]));
  for (const [path, remote] of there.files) {
    const file = here.get(path);
    if (!file) {
      throw new CliError(
        "PublishConflict",
        `${destination.store}/${destination.prefix} has the file ${path}, which the folder lacks`,
        startOver(destination),
      );
    }
    refuseOther(destination, file, remote);
  }
}

async function verifyFiles(
  container: ContainerClient,
  destination: Destination,
  files: readonly DigestedFile[],
  request: Request,
  signal: AbortSignal,
): Promise<void> {
  const there = await listVersion(container, destination, request, signal);
  refuseOtherContent(destination, files, there);
  const missing = files.filter((file) => !there.files.has(file.path));
  if (missing.length === 0) return;
  throw new CliError(
    "PublishUnverified",
    `${destination.store}/${destination.prefix} does not list ${missing[0]?.path} after its upload, so no manifest was written`,
    "Check for a lifecycle rule or another process that deletes blobs there, then run the same command again.",
  );
}

async function putManifest(
  container: ContainerClient,
  destination: Destination,
  manifest: Buffer,
  files: readonly DigestedFile[],
  request: Request,
  signal: AbortSignal,
): Promise<void> {
  try {
    await request(
      `uploading ${MANIFEST}`,
      async ({ abortSignal }) => {
        await container
          .getBlockBlobClient(destination.prefix + MANIFEST)
          .upload(manifest, manifest.length, {
            abortSignal,
            conditions: { ifNoneMatch: "*" },
            blobHTTPHeaders: { blobContentType: "application/json" },
          });
      },
      signal,
    );
  } catch (error) {
    if (!(error instanceof CliError) || !isConflict(error.cause)) throw error;
  }
  // The manifest is ours (if the response was lost) or another publisher's.
  const there = await readManifestBytes(container, destination, request, signal);
  if (there.equals(manifest)) return;
  throw await alreadyPublished(container, destination, files, request, signal);
}

async function alreadyPublished(
  container: ContainerClient,
  destination: Destination,
  files: readonly DigestedFile[],
  request: Request,
  signal: AbortSignal,
): Promise<CliError> {
  const bytes = await readManifestBytes(container, destination, request, signal);
  const manifest = parseManifest(bytes);
  const here = new Set(files.map((file) => `${file.path} ${file.sha256}`));
  const same =
    manifest?.files.length === here.size &&
    manifest.files.every((file) => here.has(`${file.path} ${file.sha256}`));
  const since = manifest?.createdAt ? ` since ${manifest.createdAt}` : "";
  return new CliError(
    "AlreadyPublished",
    `${destination.store}/${destination.prefix} is already published${since}, and publish overwrites nothing`,
    same
      ? "It has exactly these files: there is nothing to do."
      : "Publish under a new version, and set modelVersion to it.",
  );
}
