import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

import { z } from "zod";

import type { Manifest } from "../../crds/bundle.ts";
import { ServerError } from "../errors.ts";

export const MAX_TEXT_BYTES = 16 * 1024 * 1024;

export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

export function unreadable(path: string, cause: unknown): ServerError {
  const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
  return new ServerError(
    "BUNDLE_UNREADABLE",
    `${path} of the bundle cannot be read${code}: check the permissions of the folder`,
    { cause },
  );
}

/** The size of a plain file: what a link leads to was not verified when the bundle was pulled. */
export async function sizeOf(folder: string, path: string): Promise<number> {
  try {
    const info = await lstat(join(folder, path));
    if (info.isFile()) return info.size;
  } catch (cause) {
    if (!isMissing(cause)) throw unreadable(path, cause);
    throw new ServerError(
      "BUNDLE_UNREADABLE",
      `the bundle has no ${path}: publish it with the model`,
    );
  }
  throw new ServerError("BUNDLE_UNREADABLE", `${path} of the bundle is no plain file`);
}

/** @returns undefined where there is no such file */
export async function readBytes(
  folder: string,
  path: string,
  limit: number,
): Promise<Buffer | undefined> {
  const info = await lstat(join(folder, path)).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw unreadable(path, error);
  });
  if (info === undefined) return undefined;
  if ((await sizeOf(folder, path)) > limit)
    throw new ServerError("BUNDLE_INVALID", `${path} of the bundle is larger than ${limit} bytes`);
  return readFile(join(folder, path)).catch((error: unknown) => {
    throw unreadable(path, error);
  });
}

/** @returns undefined where there is no such file. @throws BUNDLE_INVALID naming the line and byte that is not UTF-8 */
export async function readText(
  folder: string,
  path: string,
  limit: number,
): Promise<string | undefined> {
  const bytes = await readBytes(folder, path, limit);
  if (bytes === undefined) return undefined;
  try {
    // It removes a byte order mark as well.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const { line, byte } = findInvalid(bytes);
    throw new ServerError(
      "BUNDLE_INVALID",
      `${path} of the bundle is not UTF-8: line ${line} has the byte 0x${byte.toString(16)}; save the file as UTF-8`,
      { cause },
    );
  }
}

/** Where text stops being UTF-8. */
function findInvalid(bytes: Uint8Array): { readonly line: number; readonly byte: number } {
  let start = 0;
  for (let line = 1; ; line += 1) {
    const end = bytes.indexOf(0x0a, start);
    const part = bytes.subarray(start, end === -1 ? bytes.length : end);
    const valid = Buffer.from(Buffer.from(part).toString("utf8"));
    if (!valid.equals(part)) {
      const at = part.findIndex((byte, index) => byte !== valid[index]);
      return { line, byte: part[at === -1 ? part.length - 1 : at] ?? 0 };
    }
    if (end === -1) return { line, byte: 0 };
    start = end + 1;
  }
}

/** @throws BUNDLE_INVALID naming the file and the field */
export function parseJson<T>(path: string, schema: z.ZodType<T>, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ServerError("BUNDLE_INVALID", `${path} of the bundle is not JSON`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ServerError(
    "BUNDLE_INVALID",
    `${path} of the bundle: ${z.prettifyError(parsed.error)}`,
  );
}

/** Compares every file with its manifest. @throws BUNDLE_CHECKSUM, BUNDLE_UNREADABLE naming the file */
export async function verifyFiles(folder: string, { files }: Manifest): Promise<void> {
  for (const { path, size, sha256 } of files) {
    const actual = await sizeOf(folder, path);
    if (actual !== size) {
      throw new ServerError(
        "BUNDLE_CHECKSUM",
        `${path} has ${actual} bytes, its manifest says ${size}: publish the version again`,
      );
    }
    const hash = createHash("sha256");
    await pipeline(createReadStream(join(folder, path)), hash);
    if (hash.digest("hex") !== sha256) {
      throw new ServerError(
        "BUNDLE_CHECKSUM",
        `${path} differs from its manifest (sha256): publish the version again`,
      );
    }
  }
}
