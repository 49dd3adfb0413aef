import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { ContainerClient } from "@azure/storage-blob";
import PQueue from "p-queue";

import { MANIFEST } from "../../crds/bundle.ts";
import type { Clock } from "../clock.ts";
import { isOperatorError } from "../errors.ts";
import { KEPT_FOLDER, keptVersionOf } from "../sources/keep/names.ts";
import type { ModelStore } from "../sources/model/model-store.ts";
import { readBundle, type ModelVersion } from "./bundle-files.ts";
import { checkSpace, megabytes } from "./disk.ts";
import { download, type BundleFile, type DownloadOptions } from "./download.ts";

export interface PullOptions extends ModelVersion {
  /** Where the bundle's files go. */
  readonly folder: string;
}

export interface PullTools {
  readonly models: ModelStore;
  readonly container: ContainerClient;
  readonly clock: Clock;
  /** A request that receives no byte for so long is aborted and sent again. */
  readonly stallMs: number;
  /** Prints a line of progress. */
  readonly say: (line: string) => void;
}

const PARALLEL_DOWNLOADS = 3;
const PROGRESS_EVERY_MS = 5000;

/**
 * Pulls one model version into a folder: every byte is checked, and an error says which file is wrong. If the version is
 * gone or was changed since its release, the copy is pulled that the operator keeps of it, by the same digests.
 */
export async function pull(
  model: PullOptions,
  tools: PullTools,
  signal: AbortSignal,
): Promise<void> {
  try {
    await pullFrom(model, tools, signal);
  } catch (error) {
    if (!isOperatorError(error, "MODEL_NOT_FOUND", "MODEL_CHECKSUM_MISMATCH", "MANIFEST_INVALID"))
      throw error;
    tools.say(`${error.message}; looking for the copy that the operator keeps`);
    const kept = { ...model, name: KEPT_FOLDER, version: keptVersionOf(model.digest) };
    await pullFrom(kept, tools, signal).catch((failure: unknown) => {
      // No copy is kept: what is wrong is the version itself.
      throw isOperatorError(failure, "MODEL_NOT_FOUND") ? error : failure;
    });
  }
}

async function pullFrom(model: PullOptions, tools: PullTools, signal: AbortSignal): Promise<void> {
  const { models, clock, stallMs, say } = tools;
  const { folder } = model;
  await mkdir(folder, { recursive: true });
  const { files, manifest } = await readBundle(model, models, { clock, stallMs, say }, signal);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  await checkSpace(folder, total);
  say(
    `pulling ${files.length} files, ${megabytes(total)} MB, of ${model.name} version ${model.version}`,
  );
  const onBytes = reportProgress(total, tools);
  await downloadAll(files, model, tools, { folder, stallMs, clock, say, onBytes }, signal);
  if (manifest !== undefined) await writeFile(join(folder, MANIFEST), manifest);
  say(`pulled ${megabytes(total)} MB, all checksums match`);
}

function reportProgress(total: number, { clock, say }: PullTools): (count: number) => void {
  let done = 0;
  let reportedAt = clock.now();
  return (count) => {
    done += count;
    if (clock.now() - reportedAt < PROGRESS_EVERY_MS) return;
    reportedAt = clock.now();
    say(`${megabytes(done)} of ${megabytes(total)} MB`);
  };
}

/** The first failure ends all downloads; nothing is written after this returns. */
async function downloadAll(
  files: readonly BundleFile[],
  { name, version }: ModelVersion,
  { container }: PullTools,
  options: DownloadOptions,
  signal: AbortSignal,
): Promise<void> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const queue = new PQueue({ concurrency: PARALLEL_DOWNLOADS });
  const downloads = files.map((file) => {
    const blob = container.getBlobClient(`${name}/${version}/${file.path}`);
    return queue.add(() => download(blob, file, options, either));
  });
  try {
    await Promise.all(downloads);
  } catch (error) {
    stop.abort();
    queue.clear();
    await queue.onIdle();
    throw error;
  }
}
