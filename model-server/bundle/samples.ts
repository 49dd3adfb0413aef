import { readdir } from "node:fs/promises";
import { join } from "node:path";

import { Sample as BundleSample, SAMPLES_FOLDER } from "../../crds/samples.ts";

import { ServerError } from "../errors.ts";
import { checkLinks, isMissing, parseJson, unreadable, type BundleFolder } from "./files.ts";

export type Sample = BundleSample & { readonly name: string };

/** The first by name: a start must not last long. */
const MAX_SAMPLES = 16;

/** The paths of the samples that are scored at a start. @throws BUNDLE_UNREADABLE */
export async function listSamples(at: BundleFolder): Promise<readonly string[]> {
  await checkLinks(at, SAMPLES_FOLDER);
  const names = await readdir(join(at.folder, SAMPLES_FOLDER)).catch((error: unknown) => {
    if (isMissing(error)) return [];
    if (error instanceof Error && "code" in error && error.code === "ENOTDIR")
      throw new ServerError("BUNDLE_UNREADABLE", `${SAMPLES_FOLDER} of the bundle is no folder`);
    throw unreadable(SAMPLES_FOLDER, error);
  });
  return names
    .filter((name) => name.endsWith(".json"))
    .toSorted()
    .slice(0, MAX_SAMPLES)
    .map((name) => `${SAMPLES_FOLDER}/${name}`);
}

/** @throws BUNDLE_INVALID naming file and field */
export function parseSample(path: string, text: string): Sample {
  return { name: path, ...parseJson(path, BundleSample, text) };
}
