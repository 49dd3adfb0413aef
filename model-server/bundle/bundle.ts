import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

import { z } from "zod";

import { MANIFEST, Manifest, MAX_MANIFEST_BYTES } from "../../crds/bundle.ts";
import { ServerError } from "../errors.ts";

/** How pictures become tensors. A misspelt field is refused: its default would give wrong scores in silence. */
export const Preprocessing = z
  .strictObject({
    /** The model's input that takes pictures; the first one unless said. */
    input: z.string().optional(),
    width: z.int().min(1).max(8192),
    height: z.int().min(1).max(8192),
    /** `fill` stretches, `cover` crops the middle, `contain` adds black. */
    fit: z.enum(["fill", "cover", "contain"]).default("cover"),
    /** How pixels are made fewer or more; `nearest` keeps drawings of squares exact. */
    kernel: z.enum(["nearest", "linear", "cubic", "lanczos3"]).default("lanczos3"),
    channels: z.enum(["grey", "RGB", "BGR"]).default("RGB"),
    layout: z.enum(["NCHW", "NHWC"]).default("NCHW"),
    /** Per channel, of values from 0 to 255: (value - mean) / scale. One number serves all channels. */
    mean: z.array(z.number()).min(1).max(3).default([0]),
    scale: z.array(z.number().positive()).min(1).max(3).default([255]),
  })
  .superRefine(({ channels, mean, scale }, context) => {
    const count = channels === "grey" ? 1 : 3;
    for (const [field, { length }] of Object.entries({ mean, scale })) {
      if (length !== 1 && length !== count)
        context.addIssue({
          code: "custom",
          path: [field],
          message: `has ${length} numbers: give one for all channels, or one for each of ${count}`,
        });
    }
  });
export type Preprocessing = z.infer<typeof Preprocessing>;

/** A request with the answer that the model gave where it was trained. */
const Sample = z.strictObject({
  request: z.json(),
  expected: z.json(),
  /** Between two numbers of the answer. */
  tolerance: z.number().min(0).default(0.01),
});
export type Sample = z.infer<typeof Sample> & { readonly name: string };

/** A model bundle in a folder, checked. */
export interface Bundle {
  readonly modelFile: string;
  readonly labels: readonly string[] | undefined;
  readonly preprocessing: Preprocessing | undefined;
  readonly samples: readonly Sample[];
}

const MODEL = "model.onnx";
const MAX_TEXT_BYTES = 16 * 1024 * 1024;
const MAX_SAMPLES = 16;

/**
 * Reads a bundle and checks it: every size and sha256 of `manifest.json`, if there is one.
 * @throws BUNDLE_UNREADABLE, BUNDLE_CHECKSUM, BUNDLE_INVALID naming the file
 */
export async function readBundle(folder: string): Promise<Bundle> {
  const manifest = await readText(folder, MANIFEST, MAX_MANIFEST_BYTES);
  if (manifest !== undefined) await verify(folder, parse(MANIFEST, Manifest, manifest));
  await isFile(folder, MODEL);
  const labels =
    (await readText(folder, "labels.txt", MAX_TEXT_BYTES)) ??
    (await readText(folder, "synset.txt", MAX_TEXT_BYTES));
  const preprocessing = await readText(folder, "preprocessing.json", MAX_TEXT_BYTES);
  return {
    modelFile: join(folder, MODEL),
    labels: labels === undefined ? undefined : linesOf(labels),
    preprocessing:
      preprocessing === undefined
        ? undefined
        : parse("preprocessing.json", Preprocessing, preprocessing),
    samples: await readSamples(folder),
  };
}

function linesOf(text: string): readonly string[] {
  return text.replace(/\r/g, "").replace(/\n+$/, "").split("\n");
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/** The size of a plain file: what a link leads to was not checked by whoever pulled the bundle. */
async function isFile(folder: string, path: string): Promise<number> {
  try {
    const info = await lstat(join(folder, path));
    if (info.isFile()) return info.size;
  } catch (cause) {
    if (!isMissing(cause))
      throw new ServerError("BUNDLE_UNREADABLE", `${path} of the bundle cannot be read`, { cause });
    throw new ServerError(
      "BUNDLE_UNREADABLE",
      `the bundle has no ${path}: publish it with the model`,
    );
  }
  throw new ServerError("BUNDLE_UNREADABLE", `${path} of the bundle is no plain file`);
}

async function readText(folder: string, path: string, limit: number): Promise<string | undefined> {
  const info = await lstat(join(folder, path)).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw new ServerError("BUNDLE_UNREADABLE", `${path} of the bundle cannot be read`);
  });
  if (info === undefined) return undefined;
  if ((await isFile(folder, path)) > limit)
    throw new ServerError("BUNDLE_INVALID", `${path} of the bundle is larger than ${limit} bytes`);
  return readFile(join(folder, path), "utf8");
}

function parse<T>(path: string, schema: z.ZodType<T>, text: string): T {
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

async function verify(folder: string, { files }: Manifest): Promise<void> {
  for (const { path, size, sha256 } of files) {
    const actual = await isFile(folder, path);
    if (actual !== size) {
      throw new ServerError(
        "BUNDLE_CHECKSUM",
        `${path} has ${actual} bytes, its manifest says ${size}: publish the version anew`,
      );
    }
    const hash = createHash("sha256");
    await pipeline(createReadStream(join(folder, path)), hash);
    if (hash.digest("hex") !== sha256) {
      throw new ServerError(
        "BUNDLE_CHECKSUM",
        `${path} differs from its manifest (sha256): publish the version anew`,
      );
    }
  }
}

async function readSamples(folder: string): Promise<readonly Sample[]> {
  const names = await readdir(join(folder, "samples")).catch(() => []);
  const chosen = names
    .filter((name) => name.endsWith(".json"))
    .toSorted()
    .slice(0, MAX_SAMPLES);
  return Promise.all(
    chosen.map(async (name) => {
      const path = `samples/${name}`;
      return {
        name: path,
        ...parse(path, Sample, (await readText(folder, path, MAX_TEXT_BYTES)) ?? ""),
      };
    }),
  );
}
