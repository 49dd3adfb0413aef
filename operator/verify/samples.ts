import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { Sample, SAMPLES_FOLDER } from "../../crds/samples.ts";
import { OperatorError } from "../errors.ts";
import { excerpt } from "./excerpt.ts";

const MAX_SAMPLES = 1000;
const MIB = 1024 * 1024;
const MAX_SAMPLE_BYTES = 16 * MIB;
const MAX_TOTAL_BYTES = 256 * MIB;

/**
 * The paths of a bundle's samples in the order of their names, after a check of how many and how large they are.
 * @throws SAMPLES_INVALID, CONFIG_INVALID when the bundle's folder is not there
 */
export async function listSamples(bundle: string): Promise<readonly string[]> {
  const paths = (await namesIn(bundle))
    .filter((name) => name.endsWith(".json"))
    .toSorted()
    .map((name) => `${SAMPLES_FOLDER}/${name}`);
  if (paths.length > MAX_SAMPLES)
    throw invalid(
      SAMPLES_FOLDER,
      `has ${paths.length} samples: publish at most ${MAX_SAMPLES}`,
      undefined,
    );
  let total = 0;
  for (const path of paths) total += await sizeOf(bundle, path);
  if (total > MAX_TOTAL_BYTES)
    throw invalid(
      SAMPLES_FOLDER,
      `has ${(total / MIB).toFixed(1)} MiB of samples: publish at most ${MAX_TOTAL_BYTES / MIB} MiB`,
      undefined,
    );
  return paths;
}

/** @throws SAMPLES_INVALID naming the file and the field */
export async function readSample(bundle: string, path: string): Promise<Sample> {
  await sizeOf(bundle, path);
  const bytes = await readFile(join(bundle, path)).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  const parsed = Sample.safeParse(parseJson(path, bytes));
  if (parsed.success) return parsed.data;
  const [{ path: field, message } = { path: [], message: "is not a sample" }] = parsed.error.issues;
  const what = field.length === 0 ? message : `${field.join(".")}: ${message}`;
  throw invalid(
    path,
    `lacks the form {"request": …, "expected": …, "tolerance": 0.01}: ${excerpt(what, 200)}`,
    parsed.error,
  );
}

async function namesIn(bundle: string): Promise<readonly string[]> {
  await readdir(bundle).catch((cause: unknown) => {
    throw new OperatorError(
      "CONFIG_INVALID",
      `MODEL_DIR ${bundle} cannot be read (${codeOf(cause)}): mount the model's volume there`,
      { cause },
    );
  });
  return readdir(join(bundle, SAMPLES_FOLDER)).catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT") return [];
    if (codeOf(cause) === "ENOTDIR") throw invalid(SAMPLES_FOLDER, "is not a folder", cause);
    throw unreadable(SAMPLES_FOLDER, cause);
  });
}

/** The size of a plain file: what a link leads to was not verified when the bundle was pulled. */
async function sizeOf(bundle: string, path: string): Promise<number> {
  const info = await lstat(join(bundle, path)).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  if (!info.isFile()) throw invalid(path, "is not a plain file", undefined);
  if (info.size > MAX_SAMPLE_BYTES)
    throw invalid(
      path,
      `has ${info.size} bytes: a sample may have ${MAX_SAMPLE_BYTES / MIB} MiB`,
      undefined,
    );
  return info.size;
}

function parseJson(path: string, bytes: Uint8Array): unknown {
  let text: string;
  try {
    // It removes a byte order mark as well.
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw invalid(path, "is not UTF-8: save the file as UTF-8", cause);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(path, "is not JSON", cause);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

function unreadable(path: string, cause: unknown): OperatorError {
  return invalid(path, `cannot be read (${codeOf(cause)})`, cause);
}

function invalid(path: string, problem: string, cause: unknown): OperatorError {
  return new OperatorError(
    "SAMPLES_INVALID",
    `${excerpt(path, 200)} of the bundle ${problem}; correct it and publish a new model version`,
    { cause },
  );
}
