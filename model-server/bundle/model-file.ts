import { readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, extname, join, relative } from "node:path";

import { BundlePath } from "../../crds/bundle.ts";
import { invalidBundle, quoted, ServerError } from "../errors.ts";
import { readOnnxFile, type OnnxFile } from "../onnx/onnx-file.ts";
import { findSize, unreadable, type BundleFolder } from "./files.ts";

export const MODEL = "model.onnx";
const SUFFIX = ".onnx";

function isOnnx(path: string): boolean {
  return extname(path).toLowerCase() === SUFFIX;
}

/** Without the suffix of a model, if it has one. */
export function modelBaseName(path: string): string {
  return basename(path, isOnnx(path) ? extname(path) : "");
}

/** Whether a path is a model's file, and no folder. @throws BUNDLE_UNREADABLE for a file of another name */
export async function isModelAlone(path: string): Promise<boolean> {
  // Of what is not there the file that is missing is reported.
  const info = await stat(path).catch(() => undefined);
  if (info?.isDirectory() === true) return false;
  if (isOnnx(path)) return true;
  if (info === undefined) return false;
  throw new ServerError(
    "BUNDLE_UNREADABLE",
    `${basename(path)} is no folder, and no model whose name ends in ${SUFFIX}: name the folder of a bundle, or export the model to ONNX and name that file`,
  );
}

/** @throws BUNDLE_UNREADABLE for a folder without a model, naming the files that may be meant */
export async function checkHasModel(at: BundleFolder): Promise<void> {
  if ((await findSize(at, MODEL)) !== undefined) return;
  const names = await readdir(at.folder).catch(() => []);
  const others = names.filter(isOnnx).toSorted();
  throw new ServerError(
    "BUNDLE_UNREADABLE",
    others.length === 0
      ? `the bundle has no ${MODEL}: publish it with the model`
      : `the bundle has no ${MODEL}, but ${listed(others)}: rename it to ${MODEL} before you publish the version, serve that file alone, or make a bundle of it (aiapp bundle)`,
  );
}

const MAX_LISTED = 3;

function listed(names: readonly string[]): string {
  const shown = names
    .slice(0, MAX_LISTED)
    .map((name) => (BundlePath.safeParse(name).success ? name : JSON.stringify(name)));
  const more = names.length - shown.length;
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

export interface FileChecks {
  /** That it is a plain file, and listed. @throws BUNDLE_UNREADABLE, BUNDLE_INVALID */
  readonly check: (path: string) => Promise<void>;
  /** @throws BUNDLE_INVALID where there is a manifest that does not list it */
  readonly checkListed: (path: string) => void;
}

/**
 * A model with its external data, which is beside it.
 * @throws BUNDLE_UNREADABLE, BUNDLE_INVALID naming the file
 */
export async function readModel(
  at: BundleFolder,
  name: string,
  files: FileChecks,
): Promise<OnnxFile> {
  await files.check(name);
  const model = openModel(at, name);
  for (const path of model.external)
    if (!BundlePath.safeParse(path).success)
      throw invalidBundle(
        `${name} keeps weights in ${quoted(path, 200)}, which is no file of the bundle: export it with its external data in the same folder`,
      );
  if (model.patches.length > 0 && model.external.length > 0)
    throw invalidBundle(
      `${name} has a ZipMap and external data: export it with zipmap=False, or in one file`,
    );
  if (at.links === "follow" && model.external.length > 0) return followWeights(at, model, files);
  for (const path of model.external) await files.check(path);
  return model;
}

/** The model with its weights beside it, or else beside the file that it is a link to. */
async function followWeights(
  at: BundleFolder,
  model: OnnxFile,
  files: FileChecks,
): Promise<OnnxFile> {
  const { external } = model;
  const target = await realpath(model.file);
  const behind = { ...at, folder: dirname(target) };
  const isBehind = !(await hasAll(at, external)) && (await hasAll(behind, external));
  for (const path of external) {
    if (isBehind) files.checkListed(path);
    else await files.check(path);
    await checkReach(target, isBehind ? behind : at, path);
  }
  return isBehind ? { ...model, file: target } : model;
}

function openModel({ folder }: BundleFolder, name: string): OnnxFile {
  try {
    return readOnnxFile(join(folder, name));
  } catch (cause) {
    throw unreadable(name, cause);
  }
}

async function hasAll(at: BundleFolder, paths: readonly string[]): Promise<boolean> {
  const sizes = await Promise.all(paths.map(async (path) => findSize(at, path)));
  return !sizes.includes(undefined);
}

/** The runtime reads external data below the folder of the model itself, wherever links to them are. */
async function checkReach(target: string, weights: BundleFolder, path: string): Promise<void> {
  const data = await realpath(join(weights.folder, path));
  if (!relative(dirname(target), data).startsWith("..")) return;
  throw new ServerError(
    "BUNDLE_UNREADABLE",
    `${path} is in another folder than the model that it belongs to, once links are followed, and the runtime does not read it there: put copies in the place of the links`,
  );
}
