import { readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";

import { messageOf, OperatorError } from "../errors.ts";

/** @param bytes size of the whole bundle. @throws STORAGE_UNEXPECTED_RESPONSE when it does not fit on the node's disk */
export async function checkSpace(folder: string, bytes: number): Promise<void> {
  const missing = bytes - (await presentBytes(folder));
  const { bavail, bsize } = await statfs(folder);
  const available = bavail * bsize;
  if (available >= missing) return;
  throw new OperatorError(
    "STORAGE_UNEXPECTED_RESPONSE",
    `the model needs ${megabytes(missing)} MB, the node's disk has ${megabytes(available)} MB left: raise ephemeral storage, or free space on the node`,
  );
}

/** What an earlier run left on disk: the pull continues it, so it needs no more space. */
async function presentBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).blocks * 512);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** What a failure of the local disk means to people who read a condition, by its errno. */
const DISK_ERRORS: ReadonlyMap<unknown, string> = new Map([
  ["ENOSPC", "the node's disk is full: raise ephemeral storage, or free space on the node"],
  ["EDQUOT", "the disk quota is used up: raise ephemeral storage"],
  ["EIO", "the node's disk fails: drain the node and replace it"],
  ["EROFS", "the model's volume is read-only: remove what spec.podTemplate changes of it"],
  ["EACCES", "the model's volume is not writable: remove what spec.podTemplate changes of it"],
  ["EISDIR", "a file and a folder of the model have the same name: rename one"],
  ["ENOTDIR", "a file and a folder of the model have the same name: rename one"],
  ["ENAMETOOLONG", "a file of the model has a name that is too long for a disk: shorten it"],
]);

export function isDiskError(error: unknown): boolean {
  return error instanceof Error && "code" in error && DISK_ERRORS.has(error.code);
}

/** The message of any failure, for a condition; an errno of the disk says nothing to those who read that. */
export function explain(error: unknown): string {
  const known = error instanceof Error && "code" in error ? DISK_ERRORS.get(error.code) : undefined;
  return known === undefined ? messageOf(error) : `the model cannot be stored: ${known}`;
}

export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
