import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

import { z } from "zod";

import type { Manifest } from "../../crds/bundle.ts";
import { invalidBundle, ServerError } from "../errors.ts";

export const MAX_TEXT_BYTES = 16 * 1024 * 1024;

export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function isLoop(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ELOOP";
}

export function unreadable(path: string, cause: unknown): ServerError {
  const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
  return new ServerError(
    "BUNDLE_UNREADABLE",
    `${path} of the bundle cannot be read${code}: check the permissions of the folder`,
    { cause },
  );
}

/**
 * Whether links are followed. A pod follows none: what one leads to was not verified when the bundle was pulled, and a bundle in
 * a store has none. On a machine of one's own they are common: the cache of Hugging Face has a link for each file.
 */
export type Links = "refuse" | "follow";

/** A folder, whose links to files are followed or not. */
export interface BundleFolder {
  readonly folder: string;
  readonly links: Links;
}

/** @throws BUNDLE_UNREADABLE where the path, or a folder on the way to it, is a link that is not followed */
export async function checkLinks({ folder, links }: BundleFolder, path: string): Promise<void> {
  if (links === "follow") return;
  const steps = path.split("/");
  for (const [index] of steps.entries()) {
    const step = steps.slice(0, index + 1).join("/");
    if (await isLink(join(folder, step)))
      throw new ServerError(
        "BUNDLE_UNREADABLE",
        `${step} of the bundle is a link, and links are not followed in a container: put a copy of what it leads to in its place`,
      );
  }
}

/** What cannot be read is no link: who reads it says why. */
async function isLink(file: string): Promise<boolean> {
  const info = await lstat(file).catch(() => undefined);
  return info?.isSymbolicLink() === true;
}

/** @returns the size of a plain file, undefined where there is none. @throws BUNDLE_UNREADABLE */
export async function findSize(at: BundleFolder, path: string): Promise<number | undefined> {
  await checkLinks(at, path);
  const file = join(at.folder, path);
  const info = await stat(file).catch(async (cause: unknown) => {
    if (!isMissing(cause) && !isLoop(cause)) throw unreadable(path, cause);
    if (!(await isLink(file))) return undefined;
    throw new ServerError(
      "BUNDLE_UNREADABLE",
      `${path} of the bundle is a link that leads to no file: download or copy the file again`,
      { cause },
    );
  });
  if (info === undefined || info.isFile()) return info?.size;
  throw new ServerError("BUNDLE_UNREADABLE", `${path} of the bundle is no plain file`);
}

/** @returns the size of a plain file. @throws BUNDLE_UNREADABLE, also where there is none */
export async function sizeOf(at: BundleFolder, path: string): Promise<number> {
  const size = await findSize(at, path);
  if (size !== undefined) return size;
  throw new ServerError(
    "BUNDLE_UNREADABLE",
    `the bundle has no ${path}: publish it with the model`,
  );
}

/** @returns undefined where there is no such file */
export async function readBytes(
  at: BundleFolder,
  path: string,
  limit: number,
): Promise<Buffer | undefined> {
  const size = await findSize(at, path);
  if (size === undefined) return undefined;
  if (size > limit) throw invalidBundle(`${path} of the bundle is larger than ${limit} bytes`);
  return readFile(join(at.folder, path)).catch((error: unknown) => {
    throw unreadable(path, error);
  });
}

/** @returns undefined where there is no such file. @throws BUNDLE_INVALID naming the line and byte that is not UTF-8 */
export async function readText(
  at: BundleFolder,
  path: string,
  limit: number,
): Promise<string | undefined> {
  const bytes = await readBytes(at, path, limit);
  if (bytes === undefined) return undefined;
  try {
    // It removes a byte order mark as well.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const { line, byte } = findInvalid(bytes);
    throw invalidBundle(
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
    throw invalidBundle(`${path} of the bundle is not JSON`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidBundle(`${path} of the bundle: ${z.prettifyError(parsed.error)}`);
}

/** Compares every file with its manifest. @throws BUNDLE_CHECKSUM, BUNDLE_UNREADABLE naming the file */
export async function verifyFiles(at: BundleFolder, { files }: Manifest): Promise<void> {
  for (const { path, size, sha256 } of files) {
    const actual = await sizeOf(at, path);
    if (actual !== size) {
      throw new ServerError(
        "BUNDLE_CHECKSUM",
        `${path} has ${actual} bytes, its manifest says ${size}: publish the version again`,
      );
    }
    const hash = createHash("sha256");
    await pipeline(createReadStream(join(at.folder, path)), hash);
    if (hash.digest("hex") !== sha256) {
      throw new ServerError(
        "BUNDLE_CHECKSUM",
        `${path} differs from its manifest (sha256): publish the version again`,
      );
    }
  }
}
