import { createHash } from "node:crypto";
import { open } from "node:fs/promises";

import { CliError } from "../errors.ts";
import type { LocalFile } from "./folder.ts";

export interface Block {
  readonly offset: number;
  readonly length: number;
  readonly sha256: string;
}

export interface DigestedFile extends LocalFile {
  readonly sha256: string;
  /** Each block is uploaded in one request. A file of at most one block is uploaded by one Put Blob. */
  readonly blocks: readonly Block[];
}

const MIB = 1024 * 1024;

/** Azure takes at most 50,000 blocks a blob. */
export function blockSizeOf(size: number): number {
  return Math.max(8 * MIB, Math.ceil(size / 49_000 / MIB) * MIB);
}

/** Hashes in one streamed pass: the file for the manifest, and each block to detect a change during the upload. */
export async function digestFile(
  file: LocalFile,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<DigestedFile> {
  await using handle = await open(file.location);
  const whole = createHash("sha256");
  const blocks: Block[] = [];
  const blockSize = blockSizeOf(file.size);
  const buffer = Buffer.allocUnsafe(Math.min(blockSize, MIB));
  let offset = 0;
  while (offset < file.size) {
    const length = Math.min(blockSize, file.size - offset);
    const part = createHash("sha256");
    for (let done = 0; done < length;) {
      signal.throwIfAborted();
      const toRead = Math.min(buffer.length, length - done);
      const { bytesRead } = await handle.read(buffer, 0, toRead, offset + done);
      if (bytesRead === 0) throw changed(file);
      const bytes = buffer.subarray(0, bytesRead);
      whole.update(bytes);
      part.update(bytes);
      done += bytesRead;
      onBytes(bytesRead);
    }
    blocks.push({ offset, length, sha256: part.digest("hex") });
    offset += length;
  }
  if ((await handle.stat()).size !== file.size) throw changed(file);
  return { ...file, sha256: whole.digest("hex"), blocks };
}

export async function readBlock(file: LocalFile, block: Block): Promise<Buffer> {
  await using handle = await open(file.location);
  const buffer = Buffer.allocUnsafe(block.length);
  let done = 0;
  while (done < block.length) {
    const { bytesRead } = await handle.read(buffer, done, block.length - done, block.offset + done);
    if (bytesRead === 0) throw changed(file);
    done += bytesRead;
  }
  if (createHash("sha256").update(buffer).digest("hex") !== block.sha256) throw changed(file);
  return buffer;
}

function changed(file: LocalFile): CliError {
  return new CliError(
    "FileChanged",
    `${file.path} changed while it was being published`,
    "Wait until no process writes to the file, then publish under a new version.",
  );
}
