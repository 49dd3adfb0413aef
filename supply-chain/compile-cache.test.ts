import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { fillCompileCache, startOnce, type Program } from "./compile-cache.ts";

const root = join(import.meta.dirname, "..");
const folder = await mkdtemp(join(tmpdir(), "compile-cache-"));
afterAll(() => rm(folder, { recursive: true }));

const examples = join(root, "examples");
const server: Program = {
  file: join(root, "model-server", "main.ts"),
  isServer: true,
  environment: { MODEL_DIR: join(examples, "digits", "models", "1"), WORKERS: "2" },
};
const pull: Program = { file: join(root, "operator", "pull-model", "main.ts"), isServer: false };
const verify: Program = { file: join(root, "operator", "verify", "main.ts"), isServer: false };

interface Reads {
  readonly threads: number;
  readonly found: number;
  /** What Node.js says of a module that it has to compile; threads break each other's lines. */
  readonly compiled: readonly string[];
  /** Packages whose modules it loads. */
  readonly packages: ReadonlySet<string>;
}

/** What a start reads of the folder. */
async function readsOf(program: Program): Promise<Reads> {
  const output = await startOnce(program, {
    NODE_COMPILE_CACHE: folder,
    NODE_DEBUG_NATIVE: "COMPILE_CACHE",
  });
  const packages = output.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)\//g);
  const count = (text: string): number => output.split(text).length - 1;
  return {
    threads: count("resolved path"),
    packages: new Set(packages.map(([, name = ""]) => name)),
    found: count("was accepted"),
    compiled:
      output.match(/.*(no such file|no transpile cache|temporary file|rejected|mismatch).*/g) ?? [],
  };
}

describe("the images' programs", () => {
  beforeAll(async () => {
    await fillCompileCache(folder, [server]);
    await fillCompileCache(folder, [pull, verify]);
  }, 60_000);

  it("include a server that compiles no module at its start, in its threads neither", async () => {
    // Of another model than it was filled with.
    const iris = { ...server.environment, MODEL_DIR: join(examples, "iris", "models", "1.0.0") };
    const { threads, found, compiled } = await readsOf({ ...server, environment: iris });
    expect(compiled).toEqual([]);
    expect(threads).toBe(3);
    expect(found).toBeGreaterThan(300);
  }, 60_000);

  it.each([
    ["pulls a model by a workload's identity", pull],
    [
      "pulls a model without credentials",
      { ...pull, environment: { STORAGE_IDENTITY: "Anonymous" } },
    ],
    ["verifies a release", verify],
  ] as const)(
    "include one that %s, and compiles no module",
    async (_, program) => {
      const { found, compiled } = await readsOf(program);
      expect(compiled).toEqual([]);
      expect(found).toBeGreaterThan(80);
    },
    60_000,
  );

  it("serve numbers without the libraries of images and of schemas that no route has", async () => {
    const iris = { MODEL_DIR: join(examples, "iris", "models", "1.0.0") };
    const { packages } = await readsOf({ ...server, environment: iris });
    expect(packages).toContain("fastify");
    expect(packages).not.toContain("sharp");
    expect(packages).not.toContain("ajv");
  }, 60_000);

  it("pull by a key without the SDK of identities", async () => {
    const anonymous = { STORAGE_IDENTITY: "Anonymous" };
    const { packages } = await readsOf({ ...pull, environment: anonymous });
    expect(packages).toContain("@azure/storage-blob");
    expect(packages).not.toContain("@azure/identity");
  }, 60_000);

  it("fail the build when the server does not get ready, with what it said", async () => {
    const none = { ...server, environment: { MODEL_DIR: join(root, "docs") } };
    await expect(fillCompileCache(folder, [none])).rejects.toThrow(/ended with 1: .*model\.onnx/s);
  }, 60_000);
});
