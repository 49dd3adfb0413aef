import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { SAMPLES_FOLDER, type Sample } from "../../crds/samples.ts";
import { ServerError } from "../errors.ts";
import type { Scores } from "../inference/scores.ts";
import type { Logger } from "../log.ts";
import { DEFAULT_TOP } from "../protocol/score.ts";

/** Keeps the last distinct requests with what `POST /score` answers to them, as samples of a bundle. */
export interface Recorder {
  /**
   * Keeps a request after its answer, unless another was kept within the interval. Never fails, never waits.
   * @param requestOf makes the body of a request of `POST /score`, only where it is kept
   * @param scoresOf makes its answer; where it throws an error of the server's nothing is kept
   * @param top how many classes were asked for: with fewer than a sample has, nothing is kept
   */
  readonly offer: (
    bytes: number,
    requestOf: () => unknown,
    scoresOf: () => Scores,
    top: number,
  ) => void;
  /** Resolves when the last file is written. */
  readonly close: () => Promise<void>;
}

export interface RecorderOptions {
  /** Its folder `samples` gets the files. */
  readonly folder: string;
  /** The most files. */
  readonly count: number;
  /** Of all files. */
  readonly maxBytes: number;
  /** At most one request in this time. */
  readonly intervalMs: number;
  readonly log: Logger;
  /** Milliseconds that only grow, and those of the epoch. */
  readonly now: () => number;
  readonly epoch: () => number;
}

/** A larger one is no sample to score at each start. */
const MAX_REQUEST_BYTES = 1024 * 1024;
/** As JSON it is larger. */
const MAX_SAMPLE_BYTES = 4 * MAX_REQUEST_BYTES;

/** `<milliseconds of the epoch>-<digest of the request>.json`: the order of names is that of time. */
const NAME = /^\d{13}-([0-9a-f]{16})\.json$/;

interface Kept {
  readonly name: string;
  readonly size: number;
}

/** @throws CONFIG_INVALID where the folder cannot be written */
export async function createRecorder(options: RecorderOptions): Promise<Recorder> {
  const { count, maxBytes, intervalMs, log, now, epoch } = options;
  const folder = join(options.folder, SAMPLES_FOLDER);
  /** By the digest of the request, the oldest first. */
  const kept = await readKept(folder);
  let last = Number.NEGATIVE_INFINITY;
  let writing: Promise<void> | undefined;
  let isFailing = false;

  async function keep(request: unknown, expected: Scores): Promise<void> {
    const digest = createHash("sha256").update(JSON.stringify(request)).digest("hex").slice(0, 16);
    if (kept.has(digest)) return;
    const sample = { request, expected } satisfies Omit<Sample, "tolerance">;
    const text = `${JSON.stringify(sample)}\n`;
    const size = Buffer.byteLength(text);
    if (size > Math.min(maxBytes, MAX_SAMPLE_BYTES)) return;
    const name = `${epoch()}-${digest}.json`;
    // A hidden file until it is whole: who copies the folder meanwhile gets no half of it.
    const draft = join(folder, `.${name}`);
    await writeFile(draft, text);
    await rename(draft, join(folder, name));
    kept.set(digest, { name, size });
    await evict();
  }

  async function evict(): Promise<void> {
    let bytes = 0;
    for (const { size } of kept.values()) bytes += size;
    for (const [digest, { name, size }] of kept) {
      if (kept.size <= count && bytes <= maxBytes) return;
      await rm(join(folder, name), { force: true });
      kept.delete(digest);
      bytes -= size;
    }
  }

  await evict();
  return {
    offer: (bytes, requestOf, scoresOf, top) => {
      if (writing !== undefined || now() - last < intervalMs) return;
      if (bytes > MAX_REQUEST_BYTES || !fits(scoresOf, top)) return;
      last = now();
      writing = Promise.resolve()
        .then(() =>
          keep(
            requestOf(),
            scoresOf().map((row) => shorten(row)),
          ),
        )
        .then(
          () => {
            isFailing = false;
          },
          (error: unknown) => {
            // What `POST /score` would refuse.
            if (error instanceof ServerError) return;
            if (!isFailing) log.error({ error }, "a request was not recorded");
            isFailing = true;
          },
        )
        .finally(() => {
          writing = undefined;
        });
    },
    close: async () => writing,
  };
}

function isClasses(row: Scores[number]): boolean {
  return Array.isArray(row[0]);
}

/** Whether a sample's own classes are among those of the answer. */
function fits(scoresOf: () => Scores, top: number): boolean {
  return top >= DEFAULT_TOP || !scoresOf().some(isClasses);
}

/** Samples are scored with the default number of classes. */
function shorten(row: Scores[number]): Scores[number] {
  return isClasses(row) ? row.slice(0, DEFAULT_TOP) : row;
}

async function readKept(folder: string): Promise<Map<string, Kept>> {
  try {
    await mkdir(folder, { recursive: true });
    const kept = new Map<string, Kept>();
    for (const name of (await readdir(folder)).toSorted()) {
      const digest = NAME.exec(name)?.[1];
      if (digest !== undefined)
        kept.set(digest, { name, size: (await stat(join(folder, name))).size });
    }
    return kept;
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unwritable";
    throw new ServerError(
      "CONFIG_INVALID",
      `RECORD_DIR: ${folder} cannot be used (${code}): name a folder that the server may write`,
      { cause },
    );
  }
}
