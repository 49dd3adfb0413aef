import { spawn } from "node:child_process";
import { chmod, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

/**
 * `node supply-chain/compile-cache.ts --out FOLDER [--server] PROGRAM…`, while an image is built: starts each program once,
 * so that FOLDER holds the modules of a start without their types, and compiled (NODE_COMPILE_CACHE of Node.js). A server
 * is ended once it is ready; another program ends by itself, since it lacks settings.
 *
 * Where the version of Node.js, the architecture, the features of the CPU or the user differ from those here, Node.js finds
 * nothing in FOLDER, and starts as it does without.
 */

/** Any free ports; gRPC is on, so that its modules are among them. */
const SERVER = { HOST: "127.0.0.1", PORT: "0", METRICS_PORT: "0", GRPC_PORT: "0" } as const;
/** A pull by a workload's identity, which loads more than one by a key. It ends before it sends anything: over plain http. */
const PULL = {
  STORAGE_IDENTITY: "Workload",
  MODEL_STORE: "http://store.invalid/models",
  MODEL_NAME: "model",
  MODEL_VERSION: "1",
  MODEL_DIGEST: `sha256:${"0".repeat(64)}`,
  MODEL_DIR: "/nonexistent",
} as const;
const READY = '"msg":"ready"';

export interface Program {
  readonly file: string;
  readonly isServer: boolean;
  /** A server needs MODEL_DIR. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** @throws with its output when a program leaves nothing in the folder, or a server does not get ready */
export async function fillCompileCache(
  folder: string,
  programs: readonly Program[],
): Promise<void> {
  for (const program of programs) {
    const before = (await entriesOf(folder)).length;
    const output = await startOnce(program, { NODE_COMPILE_CACHE: folder });
    if ((await entriesOf(folder)).length === before)
      throw new Error(`${program.file} left nothing in ${folder}: ${output}`);
  }
  // Node.js writes them for their owner alone.
  for (const entry of await entriesOf(folder)) await chmod(entry, 0o644);
}

/** @returns what it wrote. @throws when it is a server that does not get ready, or does not end when it is to */
export async function startOnce(
  { file, isServer, environment }: Program,
  more: Readonly<Record<string, string>>,
): Promise<string> {
  const child = spawn(process.execPath, [file], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...(isServer ? SERVER : PULL), ...environment, ...more },
  });
  let output = "";
  const read = (chunk: Buffer): void => {
    output += chunk.toString();
    if (isServer && !child.killed && output.includes(READY)) child.kill("SIGINT");
  };
  child.stdout.on("data", read);
  child.stderr.on("data", read);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (isServer && code !== 0) throw new Error(`${file} ended with ${code}: ${output}`);
  return output;
}

async function entriesOf(folder: string): Promise<readonly string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { out: { type: "string" }, server: { type: "boolean", default: false } },
  });
  const { out: folder, server: isServer } = values;
  if (folder === undefined) throw new Error("--out is needed: the folder to fill");
  await fillCompileCache(
    folder,
    positionals.map((file) => ({ file, isServer })),
  );
  const sizes = (await entriesOf(folder)).map(async (entry) => (await stat(entry)).size);
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  process.stdout.write(`${folder}: ${sizes.length} entries, ${(bytes / 1e6).toFixed(1)} MB\n`);
}
