import { createHash } from "node:crypto";

import { Manifest } from "../../../crds/bundle.ts";
import { OperatorError } from "../../errors.ts";
import type { StoredFile } from "./model-store.ts";

/** Digests of model versions, and the manifest that lists a version's files. */

/** In hexadecimal. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A manifest may claim more than a number holds exactly: then it is the largest one that does. */
export function totalBytes(files: readonly { readonly size: number }[]): number {
  const sum = files.reduce((total, { size }) => total + size, 0);
  return Math.min(sum, Number.MAX_SAFE_INTEGER);
}

export function manifestDigest(manifest: Uint8Array): string {
  return `sha256:${sha256(manifest)}`;
}

/** The digest of a folder without a manifest: of the path, size and ETag of each file. */
export function listingDigest(files: readonly StoredFile[]): string {
  const lines = files
    .map(({ path, size, etag }) => JSON.stringify([path, size, etag]))
    .toSorted()
    .join("\n");
  return `sha256:${sha256(lines)}`;
}

/** @throws MANIFEST_INVALID saying where and what */
export function parseManifest(bytes: Uint8Array, where: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new OperatorError(
      "MANIFEST_INVALID",
      `${where} is not JSON: publish the version again with aiapp publish`,
      { cause },
    );
  }
  const parsed = Manifest.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new OperatorError(
      "MANIFEST_INVALID",
      `${where}: ${issue?.path.join(".") ?? ""} ${issue?.message ?? "is wrong"}; publish the version again with aiapp publish`,
    );
  }
  return parsed.data;
}
