import { basename, dirname } from "node:path";

import { MANIFEST, Manifest, MAX_MANIFEST_BYTES } from "../../crds/bundle.ts";
import { invalidBundle } from "../errors.ts";
import type { OnnxFile } from "../onnx/onnx-file.ts";
import {
  MAX_TEXT_BYTES,
  parseJson,
  readText,
  sizeOf,
  verifyFiles,
  type BundleFolder,
  type Links,
} from "./files.ts";
import { checkHasModel, isModelAlone, MODEL, readModel, type FileChecks } from "./model-file.ts";
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

const LABELS = ["labels.txt", "synset.txt"] as const;
const PREPROCESSING = "preprocessing.json";
const POSTPROCESSING = "postprocessing.json";

/** The files of the bundle that the server uses. */
interface Files extends FileChecks {
  /** @returns undefined where there is no such file. @throws BUNDLE_INVALID when the manifest does not list it */
  readonly read: (path: string) => Promise<string | undefined>;
}

/** @returns undefined where there is none, or `path` is a model alone. @throws BUNDLE_UNREADABLE, BUNDLE_INVALID */
export async function readManifest(path: string, links: Links): Promise<Manifest | undefined> {
  if (await isModelAlone(path)) return undefined;
  const text = await readText({ folder: path, links }, MANIFEST, MAX_MANIFEST_BYTES);
  return text === undefined ? undefined : parseJson(MANIFEST, Manifest, text);
}

/** A model without anything beside it but its external data. */
async function readModelAlone(path: string, links: Links): Promise<Bundle> {
  const at = { folder: dirname(path), links };
  return {
    model: await readModel(at, basename(path), createFiles(at, undefined)),
    labels: undefined,
    preprocessing: undefined,
    postprocessing: undefined,
    samples: [],
  };
}

/**
 * Reads a bundle and checks it: every size and sha256 of `manifest.json`, if there is one.
 * @param path the folder of the bundle, or a model alone: a file whose name ends in `.onnx`
 * @throws BUNDLE_UNREADABLE, BUNDLE_CHECKSUM, BUNDLE_INVALID naming the file
 */
export async function readBundle(path: string, links: Links): Promise<Bundle> {
  if (await isModelAlone(path)) return readModelAlone(path, links);
  const at = { folder: path, links };
  const manifest = await readManifest(path, links);
  if (manifest !== undefined) await verifyFiles(at, manifest);
  const files = createFiles(at, manifest);
  await checkHasModel(at);
  const model = await readModel(at, MODEL, files);
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
    samples: await readSamples(at, files),
  };
}

function createFiles(at: BundleFolder, manifest: Manifest | undefined): Files {
  const listed = manifest && new Set<string>(manifest.files.map(({ path }) => path));

  function checkListed(path: string): void {
    if (listed === undefined || listed.has(path)) return;
    throw invalidBundle(
      `${path} is in the bundle, but not in its ${MANIFEST}: publish the version again, or remove the file`,
    );
  }

  return {
    checkListed,
    read: async (path) => {
      const text = await readText(at, path, MAX_TEXT_BYTES);
      if (text !== undefined) checkListed(path);
      return text;
    },
    check: async (path) => {
      await sizeOf(at, path);
      checkListed(path);
    },
  };
}

/** The lines of the first file that is there. */
async function readLabels(files: Files): Promise<readonly string[] | undefined> {
  for (const path of LABELS) {
    const text = await files.read(path);
    if (text !== undefined) return text.replace(/\r/g, "").replace(/\n+$/, "").split("\n");
  }
  return undefined;
}

async function readSamples(at: BundleFolder, files: Files): Promise<readonly Sample[]> {
  const paths = await listSamples(at);
  return Promise.all(paths.map(async (path) => parseSample(path, (await files.read(path)) ?? "")));
}
