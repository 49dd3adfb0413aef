import { createHash } from "node:crypto";
import { mkdir, open, rename, stat, truncate } from "node:fs/promises";
import { dirname, join } from "node:path";

import type { BlobClient } from "@azure/storage-blob";

import { backoff, sleep, type Clock } from "../clock.ts";
import { OperatorError } from "../errors.ts";
import { storageError } from "../sources/blob.ts";

/** One file of the bundle, fetched in ranges and checked. */
export interface Wanted {
  readonly path: string;
  readonly size: number;
  /** Undefined for a folder without a manifest: then the ETag pins the content. */
  readonly sha256: string | undefined;
  readonly etag: string | undefined;
}

const RANGE_BYTES = 8 * 1024 * 1024;
const ATTEMPTS = 8;
const RETRYABLE = new Set(["STORAGE_UNAVAILABLE", "STORAGE_THROTTLED"]);
/** Not the store's: asking again would not help. */
const DISK = new Set<unknown>(["ENOSPC", "EDQUOT", "EIO", "EROFS"]);

export interface Patience {
  /** What brings nothing for so long is given up and asked for again. */
  readonly stallMs: number;
  readonly clock: Clock;
}

export interface DownloadOptions extends Patience {
  readonly folder: string;
  readonly onBytes: (count: number) => void;
}

/** Asks for something small, again after cuts, stalls and refusals that pass. */
export async function patiently<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  where: string,
  patience: Patience,
  signal: AbortSignal,
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await ask(AbortSignal.any([signal, AbortSignal.timeout(patience.stallMs)]));
    } catch (error) {
      await pause(error, failures, where, patience, signal);
    }
  }
}

/** Waits until it may be asked again. @throws what went wrong, when that is no use */
async function pause(
  error: unknown,
  failures: number,
  where: string,
  { clock }: Patience,
  signal: AbortSignal,
): Promise<void> {
  if (error instanceof Error && "code" in error && DISK.has(error.code)) throw error;
  const translated = storageError(error, where);
  if (signal.aborted || !RETRYABLE.has(translated.code) || failures >= ATTEMPTS) throw translated;
  const wait = translated.retryAfterMs ?? backoff(failures, 250, 10_000, clock.random);
  await sleep(clock, wait, signal);
}

export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  const file = await open(path);
  try {
    for await (const chunk of file.createReadStream({ highWaterMark: 1024 * 1024 }))
      hash.update(chunk);
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}

/** Whether the finished file is there and right; a checked file of an earlier try is not fetched again. */
async function isFinished(path: string, wanted: Wanted): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined || info.size !== wanted.size || wanted.sha256 === undefined) return false;
  return (await hashFile(path)) === wanted.sha256;
}

/**
 * Fetches a file into `<folder>/<path>`: ranges pinned to one ETag, each tried again after a cut or a stall, on from
 * where an earlier run of the container stopped; then its sha256 is checked and it gets its name.
 */
export async function download(
  blob: BlobClient,
  wanted: Wanted,
  { folder, onBytes, ...patience }: DownloadOptions,
  signal: AbortSignal,
): Promise<void> {
  const target = join(folder, wanted.path);
  const where = blob.url.replace(/\?.*$/, "");
  if (await isFinished(target, wanted)) {
    onBytes(wanted.size);
    return;
  }
  await mkdir(dirname(target), { recursive: true });
  const etag = wanted.etag ?? (await pin(blob, wanted, where, patience, signal));
  // The ETag is part of the name: what was fetched of another content is not continued.
  const partial = `${target}.${etag.replace(/[^A-Za-z0-9]/g, "")}.part`;
  const have = (await stat(partial).catch(() => undefined))?.size ?? 0;
  let position = Math.min(have, wanted.size);
  onBytes(position);
  const file = await open(partial, have > 0 ? "r+" : "w");
  try {
    let failures = 0;
    while (position < wanted.size) {
      const length = Math.min(RANGE_BYTES, wanted.size - position);
      const began = position;
      try {
        for await (const chunk of range(blob, position, length, etag, patience.stallMs, signal)) {
          await file.write(chunk, 0, chunk.length, position);
          position += chunk.length;
          onBytes(chunk.length);
        }
        if (position === began) throw new Error("the store sent no bytes");
        failures = 0;
      } catch (error) {
        failures = position > began ? 0 : failures + 1;
        await pause(error, failures, where, patience, signal);
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (wanted.sha256 !== undefined) {
    const actual = await hashFile(partial);
    if (actual !== wanted.sha256) {
      await truncate(partial, 0);
      throw new OperatorError(
        "MODEL_CHECKSUM_MISMATCH",
        `${where} has sha256 ${actual.slice(0, 12)}…, its manifest says ${wanted.sha256.slice(0, 12)}…: it was changed after it was published; publish a new version`,
      );
    }
  }
  await rename(partial, target);
}

/** The ETag that all ranges must have; the size must be the manifest's. */
async function pin(
  blob: BlobClient,
  wanted: Wanted,
  where: string,
  patience: Patience,
  signal: AbortSignal,
): Promise<string> {
  const properties = await patiently(
    (abortSignal) => blob.getProperties({ abortSignal }),
    where,
    patience,
    signal,
  );
  if (properties.contentLength !== wanted.size) {
    throw new OperatorError(
      "MODEL_CHECKSUM_MISMATCH",
      `${where} has ${properties.contentLength ?? 0} bytes, its manifest says ${wanted.size}: it was changed after it was published; publish a new version`,
    );
  }
  return properties.etag ?? "";
}

/** The bytes of one range; throws when none comes for `stallMs`. */
async function* range(
  blob: BlobClient,
  offset: number,
  length: number,
  etag: string,
  stallMs: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const stalled = new AbortController();
  const bounded = AbortSignal.any([signal, stalled.signal]);
  const stall = (): void => stalled.abort(new Error(`no byte came for ${stallMs / 1000} s`));
  let timer = setTimeout(stall, stallMs);
  try {
    const answer = await blob.download(offset, length, {
      abortSignal: bounded,
      maxRetryRequests: 0,
      conditions: { ifMatch: etag },
    });
    const body = answer.readableStreamBody;
    if (body === undefined) throw new Error("the store sent no body");
    const destroy = (): void => {
      if ("destroy" in body && typeof body.destroy === "function")
        body.destroy(new Error("stalled"));
    };
    bounded.addEventListener("abort", destroy, { once: true });
    for await (const chunk of body) {
      clearTimeout(timer);
      timer = setTimeout(stall, stallMs);
      yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
    }
    bounded.removeEventListener("abort", destroy);
  } catch (error) {
    if (stalled.signal.aborted && !signal.aborted) {
      throw new OperatorError(
        "STORAGE_UNAVAILABLE",
        `${blob.url.replace(/\?.*$/, "")}: no byte came for ${stallMs / 1000} s`,
        { cause: error },
      );
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
