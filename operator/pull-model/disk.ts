import { readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";

import { OperatorError } from "../errors.ts";

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

export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
