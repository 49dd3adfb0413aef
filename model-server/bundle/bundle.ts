import { join } from "node:path";

import { MANIFEST, Manifest, MAX_MANIFEST_BYTES } from "../../crds/bundle.ts";
import { MAX_TEXT_BYTES, parseJson, readText, sizeOf, verifyFiles } from "./files.ts";
import { Preprocessing } from "./preprocessing.ts";
import { listSamples, readSample, type Sample } from "./samples.ts";

/** A model bundle in a folder, checked. */
export interface Bundle {
  readonly modelFile: string;
  readonly labels: readonly string[] | undefined;
  readonly preprocessing: Preprocessing | undefined;
  readonly samples: readonly Sample[];
}

const MODEL = "model.onnx";
const LABELS = ["labels.txt", "synset.txt"] as const;
const PREPROCESSING = "preprocessing.json";

/**
 * Reads a bundle and checks it: every size and sha256 of `manifest.json`, if there is one.
 * @throws BUNDLE_UNREADABLE, BUNDLE_CHECKSUM, BUNDLE_INVALID naming the file
 */
export async function readBundle(folder: string): Promise<Bundle> {
  const manifest = await readText(folder, MANIFEST, MAX_MANIFEST_BYTES);
  if (manifest !== undefined) await verifyFiles(folder, parseJson(MANIFEST, Manifest, manifest));
  await sizeOf(folder, MODEL);
  const preprocessing = await readText(folder, PREPROCESSING, MAX_TEXT_BYTES);
  const samples = await listSamples(folder);
  return {
    modelFile: join(folder, MODEL),
    labels: await readLabels(folder),
    preprocessing:
      preprocessing === undefined
        ? undefined
        : parseJson(PREPROCESSING, Preprocessing, preprocessing),
    samples: await Promise.all(samples.map((path) => readSample(folder, path))),
  };
}

/** The lines of the first file that is there. */
async function readLabels(folder: string): Promise<readonly string[] | undefined> {
  for (const path of LABELS) {
    const text = await readText(folder, path, MAX_TEXT_BYTES);
    if (text !== undefined) return text.replace(/\r/g, "").replace(/\n+$/, "").split("\n");
  }
  return undefined;
}
