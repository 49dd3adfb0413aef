import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, onTestFinished, test } from "vitest";

import { curlOf, environmentFor } from "./alone.ts";
import { fixtures } from "./serve.testing.ts";

const examples = join(import.meta.dirname, "..", "examples");

describe("the environment of a server alone", () => {
  test.each([
    ["a model's file", "/models/cats.onnx", { MODEL_NAME: "cats" }],
    ["a folder", "/models/cats", { MODEL_NAME: "cats" }],
    ["the folder of a version", "/models/cats/1.2.0", { MODEL_VERSION: "1.2.0" }],
  ])("follows from the name of %s", async (_, path, names) => {
    const environment = { HOST: "127.0.0.1", LOG_LEVEL: "warn", MODEL_DIR: path };
    expect(await environmentFor(path, {})).toEqual({ ...environment, ...names });
    expect(await environmentFor(path, { MODEL_NAME: "own", HOST: "::" })).toMatchObject({
      MODEL_NAME: "own",
      HOST: "::",
    });
  });

  test("follows from the manifest where there is one", async () => {
    const folder = await mkdtemp(join(tmpdir(), "aiapp-alone-"));
    onTestFinished(async () => rm(folder, { recursive: true }));
    const file = { path: "model.onnx", size: 1, sha256: "0".repeat(64) };
    const manifest = { formatVersion: 1, name: "digits", version: "2", files: [file] };
    await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest));
    expect(await environmentFor(folder, {})).toMatchObject({
      MODEL_NAME: "digits",
      MODEL_VERSION: "2",
    });
  });
});

describe("the request to copy", () => {
  const metadata = { name: "it's", versions: [], platform: "", outputs: [] };

  test("is one row of zeros, and survives a shell's quotes", () => {
    const [, curl = ""] = curlOf("http://host", {
      ...metadata,
      inputs: [{ name: "it's", datatype: "FP32", shape: [-1, 2] }],
    });
    const [, body = ""] = /^curl --data '([^']*)' http:/.exec(curl) ?? [];
    expect(JSON.parse(body)).toEqual({
      inputs: [{ name: "it's", datatype: "FP32", shape: [1, 2], data: [0, 0] }],
    });
  });

  test("is left out where it would be too long", () => {
    const inputs = [{ name: "x", datatype: "FP32", shape: [-1, 3, 224, 224] } as const];
    expect(curlOf("http://host", { ...metadata, inputs })).toEqual([
      "curl http://host/v2/models/it%27s",
    ]);
  });
});

describe("npm run serve", () => {
  async function run(
    ...args: string[]
  ): Promise<{ readonly code: unknown; readonly text: string }> {
    const child = spawn(process.execPath, [join(import.meta.dirname, "serve.ts"), ...args], {
      env: { ...process.env, PORT: "0", METRICS_PORT: "0", WORKERS: "1" },
    });
    let text = "";
    const read = (chunk: Buffer): void => {
      text += chunk.toString();
      // The last line: it serves.
      if (/^curl --data .*\n$/m.test(text)) child.kill("SIGINT");
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    const [code] = (await once(child, "close")) as [unknown];
    return { code, text };
  }

  test.each([
    ["a bundle", join(examples, "iris", "models", "1.0.0"), /^Serving model 1\.0\.0 at http:/],
    ["a model's file", join(fixtures, "table.onnx"), /^Serving table at http:/],
  ])("serves %s until Ctrl-C, and shows the requests", async (_, path, banner) => {
    const { code, text } = await run(path);
    expect(text).toMatch(banner);
    expect(text).toMatch(/^curl --data '\{"inputs":.*\}' http:\/\/127\.0\.0\.1:\d+\/v2\/models\//m);
    expect(code).toBe(0);
  });

  test.each([
    ["nothing", [], 2, /^npm run serve -- </],
    ["what is not there", ["/nowhere"], 2, /^There is no \/nowhere: /],
    ["what is no bundle", [examples], 1, /^the bundle has no model\.onnx/],
  ])("ends on %s with what to do", async (_, args, code, message) => {
    const ended = await run(...args);
    expect(ended).toEqual({ code, text: expect.stringMatching(message) });
  });
});
