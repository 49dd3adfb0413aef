import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";

import { BundlePath, MANIFEST, MAX_MANIFEST_BYTES, Manifest } from "../../crds/bundle.ts";
import { CliError, reasonOf } from "../errors.ts";

export interface LocalFile {
  /** As in the manifest: relative, with forward slashes. */
  readonly path: string;
  readonly location: string;
  readonly size: number;
}

export interface Folder {
  /** Sorted by path. */
  readonly files: readonly LocalFile[];
  /** The folder's own manifest, if it has one: the files must match it. */
  readonly manifest: OwnManifest | undefined;
  readonly warnings: readonly string[];
}

export interface OwnManifest {
  readonly content: Manifest;
  readonly bytes: Buffer;
}

const MAX_FILES = 10_000;

/** Lists the files to publish. @throws BundleInvalid with every problem of the folder */
export async function readFolder(folder: string, signal: AbortSignal): Promise<Folder> {
  const root = await rootOf(folder);
  const files: LocalFile[] = [];
  const problems: string[] = [];
  const warnings: string[] = [];

  async function visit(directory: string, prefix: string): Promise<void> {
    const entries = await readdir(directory, { withFileTypes: true });
    for (const entry of entries) {
      signal.throwIfAborted();
      if (files.length > MAX_FILES) return;
      const path = prefix + entry.name;
      const location = join(directory, entry.name);
      if (entry.name.startsWith(".")) {
        warnings.push(`${path} is hidden: skipped`);
      } else if (path === MANIFEST) {
        // publish writes it.
      } else if (entry.isDirectory()) {
        await visit(location, `${path}/`);
      } else if (entry.isSymbolicLink()) {
        const problem = await addLink(path, location);
        if (problem) problems.push(`${path} ${problem}`);
      } else if (entry.isFile()) {
        await addFile(path, location);
      } else {
        problems.push(`${path} is neither a file nor a folder: remove it`);
      }
    }
  }

  async function addFile(path: string, location: string): Promise<void> {
    const parsed = BundlePath.safeParse(path);
    if (!parsed.success) {
      problems.push(
        `${path} ${parsed.error.issues[0]?.message ?? "is not a bundle path"}: rename it`,
      );
    }
    files.push({ path, location, size: (await stat(location)).size });
  }

  async function addLink(path: string, location: string): Promise<string | undefined> {
    let target: string;
    try {
      target = await realpath(location);
    } catch (error) {
      return `is a broken link (${reasonOf(error)}): remove it`;
    }
    if (!target.startsWith(root + sep)) {
      return `links to ${target}, outside the folder: copy the folder with cp -rL and publish the copy`;
    }
    if (!(await stat(target)).isFile()) {
      return "links to a folder: copy the folder with cp -rL and publish the copy";
    }
    await addFile(path, target);
    return undefined;
  }

  await visit(root, "");
  if (files.length > MAX_FILES) {
    problems.push(`more than ${MAX_FILES} files: pack them into fewer`);
  } else if (files.length === 0) {
    problems.push("it has no file: add the model's files, such as model.onnx");
  }
  if (problems.length > 0) throw invalid(folder, problems);
  if (!files.some((file) => file.path === "model.onnx")) {
    warnings.push(
      "no model.onnx: the project's model server cannot serve this version; a code image of your own can",
    );
  }
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { files, warnings, manifest: await readManifest(folder, join(root, MANIFEST)) };
}

async function rootOf(folder: string): Promise<string> {
  try {
    const root = await realpath(folder);
    if ((await stat(root)).isDirectory()) return root;
  } catch (error) {
    throw new CliError(
      "BundleInvalid",
      `The folder ${folder} cannot be read: ${reasonOf(error)}`,
      "Name the folder that holds the model's files.",
      error,
    );
  }
  throw new CliError(
    "BundleInvalid",
    `${folder} is not a folder`,
    "Name the folder that holds the model's files, not a file in it.",
  );
}

async function readManifest(folder: string, location: string): Promise<OwnManifest | undefined> {
  const size = await stat(location).then(
    (found) => found.size,
    () => undefined,
  );
  if (size === undefined) return undefined;
  try {
    if (size > MAX_MANIFEST_BYTES) throw new Error(`it has ${size} bytes`);
    const bytes = await readFile(location);
    return { content: Manifest.parse(JSON.parse(bytes.toString("utf8"))), bytes };
  } catch (error) {
    throw new CliError(
      "BundleInvalid",
      `${folder}/${MANIFEST} is not a manifest: ${reasonOf(error)}`,
      "Delete or rename it: publish writes the manifest itself.",
      error,
    );
  }
}

function invalid(folder: string, problems: readonly string[]): CliError {
  const shown = problems.slice(0, 20).map((problem) => `\n  - ${problem}`);
  if (problems.length > 20) shown.push(`\n  - and ${problems.length - 20} more`);
  return new CliError(
    "BundleInvalid",
    `${folder} cannot be published:${shown.join("")}`,
    "Fix these and run the command again; nothing was uploaded.",
  );
}
