import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";

import { buildModel } from "../onnx/build.testing.ts";
import { readConfig } from "../config.ts";
import { createLogger } from "../log.ts";
import { scores } from "../serve.testing.ts";
import { startServer } from "../server.ts";
import { readBundle } from "./bundle.ts";
import type { Links } from "./files.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aiapp-model-file-"));
});
afterEach(async () => rm(folder, { recursive: true }));

async function write(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), content);
}

async function link(path: string, target: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await symlink(target, join(folder, path));
}

async function refusal(path = folder, links: Links = "refuse"): Promise<unknown> {
  return readBundle(path, links).then(
    () => "accepted",
    (error: unknown) => error,
  );
}

function refused(code: string, message: RegExp): unknown {
  return expect.objectContaining({ code, message: expect.stringMatching(message) });
}

/** A model whose weights are in a file of this name: two numbers, which it adds. */
function weighted(file: string): Buffer {
  return buildModel({
    nodes: [{ op: "Add", inputs: ["x", "w"], outputs: ["y"] }],
    inputs: [{ name: "x", type: "float", dims: ["N", 2] }],
    outputs: [{ name: "y", type: "float", dims: ["N", 2] }],
    weights: [{ name: "w", dims: [2], data: [10, 20], file }],
  });
}

describe("a model alone", () => {
  test.each(["half.onnx", "HALF.ONNX"])("is a file with the suffix of one: %s", async (name) => {
    await write(name, "weights");
    const bundle = await readBundle(join(folder, name), "refuse");
    expect(bundle.model.file).toBe(join(folder, name));
  });

  test("is no folder, whatever its name ends in", async () => {
    await write("net.onnx/model.onnx", "weights");
    await write("net.onnx/labels.txt", "cat\n");
    const bundle = await readBundle(join(folder, "net.onnx"), "refuse");
    expect(bundle.labels).toEqual(["cat"]);
  });

  test("of another suffix is refused, and says what to name", async () => {
    await write("net.pt", "weights");
    expect(await refusal(join(folder, "net.pt"))).toEqual(
      refused(
        "BUNDLE_UNREADABLE",
        /^net\.pt is no folder, and no model whose name ends in \.onnx: /,
      ),
    );
  });

  test("is named in what is wrong with it", async () => {
    await write("x.onnx", weighted("../w.bin"));
    expect(await refusal(join(folder, "x.onnx"))).toEqual(
      refused("BUNDLE_INVALID", /^x\.onnx keeps weights in "\.\.\/w\.bin", /),
    );
  });
});

describe("a folder without model.onnx", () => {
  test.each([
    [["resnet.onnx"], "resnet.onnx: rename it to model.onnx before you publish"],
    [["d.onnx", "a b.onnx", "C.ONNX", "e.onnx"], 'C.ONNX, "a b.onnx", d.onnx and 1 more: rename'],
  ])("but with other models is refused by their names: %j", async (names, message) => {
    for (const name of names) await write(name, "weights");
    expect(await refusal()).toMatchObject({
      code: "BUNDLE_UNREADABLE",
      message: expect.stringContaining(`the bundle has no model.onnx, but ${message}`),
    });
  });
});

describe("external data", () => {
  const data = new Uint8Array(Float32Array.of(10, 20).buffer);

  /** What a server that follows links answers for the row 1, 2. */
  async function sumsOf(path: string): Promise<unknown> {
    const ports = { HOST: "127.0.0.1", PORT: "0", METRICS_PORT: "0" };
    const config = readConfig({ MODEL_DIR: path, WORKERS: "1", ...ports }, "follow");
    const server = await startServer(config, { log: createLogger("silent"), versions: {} });
    onTestFinished(server.close);
    await server.loaded;
    return scores(server, { input: [[1, 2]] });
  }

  /** As the cache of Hugging Face keeps a model: files are named by their checksums. */
  async function cache(): Promise<string> {
    await write("blobs/aaaa", weighted("model.onnx_data"));
    await write("blobs/bbbb", data);
    await link("snapshots/main/model.onnx", "../../blobs/aaaa");
    await link("snapshots/main/model.onnx_data", "../../blobs/bbbb");
    return join(folder, "snapshots", "main");
  }

  test.each(["model.onnx", ""])(
    "is read by links beside the model, as in the cache of Hugging Face: main/%s",
    async (name) => {
      const path = join(await cache(), name);
      expect(await sumsOf(path)).toEqual([[11, 22]]);
      expect(await refusal(path)).toEqual(
        refused("BUNDLE_UNREADABLE", /^model\.onnx .* is a link/),
      );
    },
  );

  test("is read beside the file that the model is a link to, unless it is beside the link", async () => {
    await write("far/net.onnx", weighted("w.bin"));
    await write("far/w.bin", data);
    await link("near/net.onnx", "../far/net.onnx");
    expect(await sumsOf(join(folder, "near", "net.onnx"))).toEqual([[11, 22]]);
  });

  test("in another folder than the model is refused: the runtime does not read it", async () => {
    await write("near/model.onnx", weighted("w.bin"));
    await write("far/w.bin", data);
    await link("near/w.bin", "../far/w.bin");
    expect(await refusal(join(folder, "near"), "follow")).toEqual(
      refused(
        "BUNDLE_UNREADABLE",
        /^w\.bin is in another folder than the model that it belongs to/,
      ),
    );
  });
});
