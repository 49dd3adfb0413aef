import { readdir } from "node:fs/promises";
import { join } from "node:path";

import { z } from "zod";

import { ServerError } from "../errors.ts";
import { isMissing, parseJson, unreadable } from "./files.ts";

/** A request with the answer that the model gave where it was trained. */
const Sample = z.strictObject({
  request: z.json(),
  expected: z.json(),
  /** Between two numbers of the answer. */
  tolerance: z.number().min(0).default(0.01),
});
export type Sample = z.infer<typeof Sample> & { readonly name: string };

const FOLDER = "samples";
/** The first by name: a start must not last long. */
const MAX_SAMPLES = 16;

/** The paths of the samples that are scored at a start. @throws BUNDLE_UNREADABLE */
export async function listSamples(folder: string): Promise<readonly string[]> {
  const names = await readdir(join(folder, FOLDER)).catch((error: unknown) => {
    if (isMissing(error)) return [];
    if (error instanceof Error && "code" in error && error.code === "ENOTDIR")
      throw new ServerError("BUNDLE_UNREADABLE", `${FOLDER} of the bundle is no folder`);
    throw unreadable(FOLDER, error);
  });
  return names
    .filter((name) => name.endsWith(".json"))
    .toSorted()
    .slice(0, MAX_SAMPLES)
    .map((name) => `${FOLDER}/${name}`);
}

/** @throws BUNDLE_INVALID naming file and field */
export function parseSample(path: string, text: string): Sample {
  return { name: path, ...parseJson(path, Sample, text) };
}
