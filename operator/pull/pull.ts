import { mkdir, readdir, stat, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { ContainerClient } from "@azure/storage-blob";
import PQueue from "p-queue";

import { BundlePath, MANIFEST } from "../../crds/bundle.ts";
import type { Clock } from "../clock.ts";
import { OperatorError } from "../errors.ts";
import type { Identity } from "../sources/identity.ts";
import { listingDigest, parseManifest, sha256, type ModelStore } from "../sources/model.ts";
import { download, patiently, type Patience, type Wanted } from "./download.ts";

export interface PullRequest {
  readonly store: string;
  readonly name: string;
  readonly version: string;
  /** What the release was made of; anything else is refused. */
  readonly digest: string;
  readonly folder: string;
  readonly identity: Identity;
}

const PARALLEL = 3;

/** Brings one model version into a folder: every byte of it checked, or an error that says which is wrong. */
export async function pull(
  request: PullRequest,
  tools: {
    readonly models: ModelStore;
    readonly container: ContainerClient;
    readonly clock: Clock;
    readonly stallMs: number;
    readonly say: (line: string) => void;
  },
  signal: AbortSignal,
): Promise<void> {
  const { models, container, clock, stallMs, say } = tools;
  await mkdir(request.folder, { recursive: true });
  const { files, manifest } = await plan(request, models, { clock, stallMs }, signal);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  await checkSpace(request.folder, total - (await presentBytes(request.folder)));
  say(
    `pulling ${files.length} files, ${megabytes(total)} MB, of ${request.name} version ${request.version}`,
  );

  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const queue = new PQueue({ concurrency: PARALLEL });
  let done = 0;
  let saidAt = clock.now();
  const onBytes = (count: number): void => {
    done += count;
    if (clock.now() - saidAt < 5000) return;
    saidAt = clock.now();
    say(`${megabytes(done)} of ${megabytes(total)} MB`);
  };
  try {
    await Promise.all(
      files.map((wanted) =>
        queue.add(() =>
          download(
            container.getBlobClient(`${request.name}/${request.version}/${wanted.path}`),
            wanted,
            { folder: request.folder, stallMs, clock, onBytes },
            either,
          ),
        ),
      ),
    );
  } catch (error) {
    // The first failure decides; the rest need not go on, and nothing is written once we have ended.
    stop.abort();
    queue.clear();
    await queue.onIdle();
    throw error;
  }
  if (manifest !== undefined) await writeFile(join(request.folder, MANIFEST), manifest);
  say(`pulled ${megabytes(total)} MB, all checksums right`);
}

/** What to fetch, from the manifest, or from the listing of a folder without one; and that it is what was released. */
async function plan(
  request: PullRequest,
  models: ModelStore,
  patience: Patience,
  signal: AbortSignal,
): Promise<{ files: readonly Wanted[]; manifest: Uint8Array | undefined }> {
  const { version, digest, identity } = request;
  const where = `${request.store}/${request.name}/${version}/`;
  const read = await patiently(
    (bounded) => models.readManifest(request, version, undefined, identity, bounded),
    where,
    patience,
    signal,
  );
  if (read !== undefined && read !== "unchanged") {
    const actual = `sha256:${sha256(read.bytes)}`;
    if (actual !== digest) throw mutated(where, actual, digest);
    const { files } = parseManifest(read.bytes, `${where}${MANIFEST}`);
    return { files: files.map((file) => ({ ...file, etag: undefined })), manifest: read.bytes };
  }
  const listed = await patiently(
    (bounded) => models.listFiles(request, version, identity, bounded),
    where,
    patience,
    signal,
  );
  if (listed.length === 0) {
    throw new OperatorError(
      "MODEL_NOT_FOUND",
      `${where} is not there any more: publish it again, or name another version`,
    );
  }
  const actual = listingDigest(listed);
  if (actual !== digest) throw mutated(where, actual, digest);
  for (const { path } of listed) {
    if (!BundlePath.safeParse(path).success) {
      throw new OperatorError(
        "MANIFEST_INVALID",
        `${where} holds a file whose name cannot be used: ${JSON.stringify(path)}`,
      );
    }
  }
  return {
    files: listed.map(({ path, size, etag }) => ({ path, size, etag, sha256: undefined })),
    manifest: undefined,
  };
}

function mutated(where: string, actual: string, wanted: string): OperatorError {
  return new OperatorError(
    "MODEL_CHECKSUM_MISMATCH",
    `${where} is ${actual.slice(0, 19)}…, but the release was made of ${wanted.slice(0, 19)}…: the version was changed after its release; publish a new version`,
  );
}

/** Bytes on disk that an earlier try left: it is gone on from, and takes no more room. */
async function presentBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).blocks * 512);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

async function checkSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < bytes) {
    throw new OperatorError(
      "STORAGE_UNEXPECTED_RESPONSE",
      `the model needs ${megabytes(bytes)} MB, the node's disk has ${megabytes(bavail * bsize)} MB left: raise ephemeral storage, or clean the node`,
    );
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
