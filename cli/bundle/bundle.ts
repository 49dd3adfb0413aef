import { existsSync } from "node:fs";
import {
  copyFile,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { dirname, extname, join, resolve } from "node:path";

import type { CheckResult } from "../../crds/check.ts";
import { SAMPLES_FOLDER } from "../../crds/samples.ts";
import { CliError, reasonOf } from "../errors.ts";
import { runCheck, type CheckProgress } from "../verify/model-server.ts";
import { preprocessingOf } from "./preprocessing.ts";

export interface BundleOptions {
  readonly model: string;
  /** Where the bundle goes: a folder that does not exist, or is empty. */
  readonly to: string;
  readonly labels?: string;
  /** A preset's name or a file. */
  readonly preprocessing?: string;
  readonly postprocessing?: string;
  /** Pictures, or JSON: bodies of POST /score, or samples with their own answers. */
  readonly samples: readonly string[];
}

const pictures = new Set([".png", ".jpg", ".jpeg", ".webp"]);
const MAX_SAMPLE_BYTES = 8 * 1024 * 1024;

/**
 * Makes a bundle beside its place, records its samples by running it, and moves it there whole.
 * @throws BundleInvalid for files that cannot be used, BundleRefused where the model server cannot serve the result
 */
export async function makeBundle(
  options: BundleOptions,
  report: (event: CheckProgress) => void,
  signal: AbortSignal,
): Promise<CheckResult> {
  const to = resolve(options.to);
  await refuseFull(to);
  const model = await modelFile(options.model);
  const declared = await runCheck("model", model, () => {}, signal);
  const draft = `${to}.draft-${process.pid}`;
  try {
    await mkdir(draft, { recursive: true });
    await copy(model, join(draft, "model.onnx"));
    if (declared.kind === "model")
      for (const path of declared.external) await copyExternal(model, draft, path);
    if (options.labels !== undefined) await copy(options.labels, join(draft, "labels.txt"));
    if (options.postprocessing !== undefined)
      await copy(options.postprocessing, join(draft, "postprocessing.json"));
    if (options.preprocessing !== undefined)
      await writeJson(
        join(draft, "preprocessing.json"),
        await preprocessingOf(options.preprocessing, declared.inputs),
      );
    const answered = await writeRequests(draft, options.samples);
    const recorded = new Map<string, unknown>();
    const result = await runCheck(
      "record",
      draft,
      (event) => {
        report(event);
        if (event.kind === "sample" && event.recorded !== undefined)
          recorded.set(event.path, event.recorded);
      },
      signal,
    );
    await mkdir(join(draft, SAMPLES_FOLDER), { recursive: true });
    for (const [path, sample] of recorded)
      if (!answered.has(path)) await writeSample(join(draft, path), sample);
    // Answers that came with their samples must be the model's.
    if (answered.size > 0) await runCheck("bundle", draft, () => {}, signal);
    await rm(to, { recursive: true, force: true });
    await rename(draft, to);
    return result;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Writes the requests, with no answer yet. @returns the paths of those that came with one */
async function writeRequests(
  draft: string,
  samples: readonly string[],
): Promise<ReadonlySet<string>> {
  const answered = new Set<string>();
  if (samples.length > 0) await mkdir(join(draft, SAMPLES_FOLDER), { recursive: true });
  for (const [index, path] of samples.entries()) {
    const sample = await readSample(path);
    const number = String(index + 1).padStart(String(samples.length).length, "0");
    const name = `${SAMPLES_FOLDER}/${number}.json`;
    if (sample.expected !== null) answered.add(name);
    await writeSample(join(draft, name), sample);
  }
  return answered;
}

/** @throws BundleInvalid */
async function readSample(path: string): Promise<Sample> {
  const bytes = await readGiven(path);
  if (pictures.has(extname(path).toLowerCase()))
    return { request: { input: [bytes.toString("base64")] }, expected: null };
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw new CliError(
      "BundleInvalid",
      `The sample ${path} is neither a picture nor JSON: ${reasonOf(error)}`,
      `Give ${[...pictures].join(", ")}, or .json: the body of a request of POST /score.`,
      error,
    );
  }
  if (typeof value === "object" && value !== null && "request" in value)
    return { expected: null, ...value };
  return { request: value, expected: null };
}

interface Sample {
  readonly request: unknown;
  /** Null where it is to be recorded. */
  readonly expected: unknown;
}

async function readGiven(path: string): Promise<Buffer> {
  try {
    const { size } = await stat(path);
    if (size <= MAX_SAMPLE_BYTES) return await readFile(path);
  } catch (error) {
    throw unreadable(path, error);
  }
  throw new CliError(
    "BundleInvalid",
    `The sample ${path} is larger than ${MAX_SAMPLE_BYTES} bytes`,
    "Give a smaller one: samples are scored at every start of a pod.",
  );
}

/** It may be a link to a file of any name, as in the cache of Hugging Face. */
async function modelFile(path: string): Promise<string> {
  try {
    const file = resolve(path);
    if ((await stat(file)).isFile() && extname(file).toLowerCase() === ".onnx") return file;
  } catch (error) {
    throw unreadable(path, error);
  }
  throw new CliError(
    "BundleInvalid",
    `${path} is no file whose name ends in .onnx`,
    "Export the model to ONNX, and name that file.",
  );
}

/** A model's weights lie beside it, or beside the file that it is a link to, under the name that it has for them. */
async function copyExternal(model: string, draft: string, path: string): Promise<void> {
  const target = join(draft, path);
  await mkdir(dirname(target), { recursive: true });
  const beside = join(dirname(model), path);
  await copy(existsSync(beside) ? beside : join(dirname(await realpath(model)), path), target);
}

async function copy(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to);
  } catch (error) {
    throw unreadable(from, error);
  }
}

/** On one line: a picture is one long word. */
async function writeSample(path: string, sample: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(sample)}\n`);
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

async function refuseFull(folder: string): Promise<void> {
  const entries = await readdir(folder).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw unreadable(folder, error);
  });
  if (entries.length === 0) return;
  throw new CliError(
    "BundleInvalid",
    `${folder} is not empty`,
    "Name another folder with --out, or remove this one.",
  );
}

function unreadable(path: string, error: unknown): CliError {
  return new CliError(
    "BundleInvalid",
    `${path} cannot be read: ${reasonOf(error)}`,
    "Check the path and its permissions.",
    error,
  );
}
