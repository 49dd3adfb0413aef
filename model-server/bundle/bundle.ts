import { basename, dirname, extname, join } from "node:path";

import { BundlePath, MANIFEST, Manifest, MAX_MANIFEST_BYTES } from "../../crds/bundle.ts";
import { ServerError } from "../errors.ts";
import { readOnnxFile, type OnnxFile } from "../onnx/onnx-file.ts";
import { MAX_TEXT_BYTES, parseJson, readText, sizeOf, unreadable, verifyFiles } from "./files.ts";
import { Postprocessing } from "./postprocessing.ts";
import { Preprocessing } from "./preprocessing.ts";
import { listSamples, parseSample, type Sample } from "./samples.ts";

/** A model bundle in a folder, checked. */
export interface Bundle {
  readonly model: OnnxFile;
  readonly labels: readonly string[] | undefined;
  readonly preprocessing: Preprocessing | undefined;
  readonly postprocessing: Postprocessing | undefined;
  readonly samples: readonly Sample[];
}

const MODEL = "model.onnx";
const LABELS = ["labels.txt", "synset.txt"] as const;
const PREPROCESSING = "preprocessing.json";
const POSTPROCESSING = "postprocessing.json";

/** The files of the bundle that the server uses. */
interface Files {
  /** @returns undefined where there is no such file. @throws BUNDLE_INVALID when the manifest does not list it */
  readonly read: (path: string) => Promise<string | undefined>;
  /** Checks that it is a plain file, and listed. */
  readonly check: (path: string) => Promise<void>;
}

/** @returns undefined where there is none, or `path` is a model alone. @throws BUNDLE_UNREADABLE, BUNDLE_INVALID */
export async function readManifest(path: string): Promise<Manifest | undefined> {
  if (isModelAlone(path)) return undefined;
  const text = await readText(path, MANIFEST, MAX_MANIFEST_BYTES);
  return text === undefined ? undefined : parseJson(MANIFEST, Manifest, text);
}

function isModelAlone(path: string): boolean {
  return extname(path) === ".onnx";
}

/** A model without anything beside it but its external data. */
async function readModelAlone(path: string): Promise<Bundle> {
  const folder = dirname(path);
  const files = createFiles(folder, undefined);
  return {
    model: await readModel(folder, files, basename(path)),
    labels: undefined,
    preprocessing: undefined,
    postprocessing: undefined,
    samples: [],
  };
}

/**
 * Reads a bundle and checks it: every size and sha256 of `manifest.json`, if there is one.
 * @param folder of the bundle, or the path of a model alone: a name that ends in `.onnx`
 * @throws BUNDLE_UNREADABLE, BUNDLE_CHECKSUM, BUNDLE_INVALID naming the file
 */
export async function readBundle(folder: string): Promise<Bundle> {
  if (isModelAlone(folder)) return readModelAlone(folder);
  const manifest = await readManifest(folder);
  if (manifest !== undefined) await verifyFiles(folder, manifest);
  const files = createFiles(folder, manifest);
  const model = await readModel(folder, files);
  const preprocessing = await files.read(PREPROCESSING);
  const postprocessing = await files.read(POSTPROCESSING);
  return {
    model,
    labels: await readLabels(files),
    preprocessing:
      preprocessing === undefined
        ? undefined
        : parseJson(PREPROCESSING, Preprocessing, preprocessing),
    postprocessing:
      postprocessing === undefined
        ? undefined
        : parseJson(POSTPROCESSING, Postprocessing, postprocessing),
    samples: await readSamples(folder, files),
  };
}

function createFiles(folder: string, manifest: Manifest | undefined): Files {
  const listed = manifest && new Set<string>(manifest.files.map(({ path }) => path));

  function checkListed(path: string): void {
    if (listed === undefined || listed.has(path)) return;
    throw new ServerError(
      "BUNDLE_INVALID",
      `${path} is in the bundle, but not in its ${MANIFEST}: publish the version again, or remove the file`,
    );
  }

  return {
    read: async (path) => {
      const text = await readText(folder, path, MAX_TEXT_BYTES);
      if (text !== undefined) checkListed(path);
      return text;
    },
    check: async (path) => {
      await sizeOf(folder, path);
      checkListed(path);
    },
  };
}

async function readModel(folder: string, files: Files, name = MODEL): Promise<OnnxFile> {
  await files.check(name);
  const model = openModel(join(folder, name));
  for (const path of model.external) {
    if (!BundlePath.safeParse(path).success)
      throw new ServerError(
        "BUNDLE_INVALID",
        `${MODEL} keeps weights in ${JSON.stringify(path.slice(0, 200))}, which is no file of the bundle: export it with its external data in the same folder`,
      );
    await files.check(path);
  }
  if (model.patches.length > 0 && model.external.length > 0)
    throw new ServerError(
      "BUNDLE_INVALID",
      `${MODEL} has a ZipMap and external data: export it with zipmap=False, or in one file`,
    );
  return model;
}

function openModel(file: string): OnnxFile {
  try {
    return readOnnxFile(file);
  } catch (cause) {
    throw unreadable(MODEL, cause);
  }
}

/** The lines of the first file that is there. */
async function readLabels(files: Files): Promise<readonly string[] | undefined> {
  for (const path of LABELS) {
    const text = await files.read(path);
    if (text !== undefined) return text.replace(/\r/g, "").replace(/\n+$/, "").split("\n");
  }
  return undefined;
}

async function readSamples(folder: string, files: Files): Promise<readonly Sample[]> {
  const paths = await listSamples(folder);
  return Promise.all(paths.map(async (path) => parseSample(path, (await files.read(path)) ?? "")));
}
