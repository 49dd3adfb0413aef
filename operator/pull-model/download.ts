import { createHash } from "node:crypto";
import { mkdir, open, rename, stat, truncate, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";

import type { BlobClient } from "@azure/storage-blob";

import { OperatorError } from "../errors.ts";
import { readRange, urlOf } from "./range.ts";
import { waitForRetry, withRetries, type RetryOptions } from "./retry.ts";

/** One file of the bundle. */
export interface BundleFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Undefined for a folder without a manifest: then the ETag pins the content. */
  readonly sha256: string | undefined;
  readonly etag: string | undefined;
}

export interface DownloadOptions extends RetryOptions {
  readonly folder: string;
  readonly onBytes: (count: number) => void;
}

const RANGE_BYTES = 8 * 1024 * 1024;

/**
 * Downloads a file to `<folder>/<path>` in ranges that are pinned to one ETag, each retried after a cut or a stall. It
 * continues what an earlier run of the container left, checks the sha256, and only then gives the file its name.
 *
 * @throws MODEL_CHECKSUM_MISMATCH, STORAGE_*
 */
export async function download(
  blob: BlobClient,
  file: BundleFile,
  { folder, onBytes, ...retry }: DownloadOptions,
  signal: AbortSignal,
): Promise<void> {
  const target = join(folder, file.path);
  if (await isComplete(target, file)) {
    onBytes(file.size);
    return;
  }
  await mkdir(dirname(target), { recursive: true });
  const etag = file.etag ?? (await currentEtag(blob, file, retry, signal));
  // The ETag is part of the name: bytes of another content are not continued.
  const partial = `${target}.${etag.replace(/[^A-Za-z0-9]/g, "")}.part`;
  const present = (await stat(partial).catch(() => undefined))?.size ?? 0;
  const position = Math.min(present, file.size);
  onBytes(position);
  const handle = await open(partial, present > 0 ? "r+" : "w");
  try {
    await readRemaining(blob, handle, { position, size: file.size, etag, onBytes }, retry, signal);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await checkSum(partial, file, urlOf(blob));
  await rename(partial, target);
}

/** A complete file of an earlier run is not downloaded again. */
async function isComplete(path: string, { size, sha256 }: BundleFile): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined || info.size !== size || sha256 === undefined) return false;
  return (await hashFile(path)) === sha256;
}

/** The ETag that all ranges must have; the size must be the manifest's. */
async function currentEtag(
  blob: BlobClient,
  file: BundleFile,
  retry: RetryOptions,
  signal: AbortSignal,
): Promise<string> {
  const where = urlOf(blob);
  const { contentLength = 0, etag = "" } = await withRetries(
    (abortSignal) => blob.getProperties({ abortSignal }),
    where,
    retry,
    signal,
  );
  if (contentLength !== file.size) {
    throw new OperatorError(
      "MODEL_CHECKSUM_MISMATCH",
      `${where} has ${contentLength} bytes, its manifest says ${file.size}: it was changed after it was published; publish a new version`,
    );
  }
  return etag;
}

/** An attempt that wrote bytes resets the count of failures. */
async function readRemaining(
  blob: BlobClient,
  handle: FileHandle,
  part: {
    readonly position: number;
    readonly size: number;
    readonly etag: string;
    readonly onBytes: (count: number) => void;
  },
  retry: RetryOptions,
  signal: AbortSignal,
): Promise<void> {
  const { size, etag, onBytes } = part;
  let { position } = part;
  let failures = 0;
  while (position < size) {
    const start = position;
    const range = { offset: start, length: Math.min(RANGE_BYTES, size - start), etag };
    try {
      for await (const chunk of readRange(blob, range, retry.stallMs, signal)) {
        await handle.write(chunk, 0, chunk.length, position);
        position += chunk.length;
        onBytes(chunk.length);
      }
      if (position === start) throw new Error("the response has no bytes");
      failures = 0;
    } catch (error) {
      failures = position > start ? 0 : failures + 1;
      await waitForRetry(error, failures, urlOf(blob), retry, signal);
    }
  }
}

/** Empties a file with another sha256: the next run starts over. */
async function checkSum(path: string, { sha256 }: BundleFile, where: string): Promise<void> {
  if (sha256 === undefined) return;
  const actual = await hashFile(path);
  if (actual === sha256) return;
  await truncate(path, 0);
  throw new OperatorError(
    "MODEL_CHECKSUM_MISMATCH",
    `${where} has sha256 ${actual.slice(0, 12)}…, its manifest says ${sha256.slice(0, 12)}…: it was changed after it was published; publish a new version`,
  );
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  const handle = await open(path);
  try {
    for await (const chunk of handle.createReadStream({ highWaterMark: 1024 * 1024 }))
      hash.update(chunk);
  } finally {
    await handle.close();
  }
  return hash.digest("hex");
}
