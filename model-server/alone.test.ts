import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, onTestFinished, test } from "vitest";

import { curlOf, environmentFor } from "./alone.ts";
import { fixtures } from "./serve.testing.ts";

const examples = join(import.meta.dirname, "..", "examples");

describe("the environment of a server alone", () => {
  test.each([
    ["a model's file", "/models/cats.onnx", { MODEL_NAME: "cats" }],
    ["a model's file in capitals", "/models/CATS.ONNX", { MODEL_NAME: "CATS" }],
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
    const inputs = [{ name: "it's", datatype: "FP32", shape: [-1, 2] }] as const;
    const [, curl = ""] = curlOf("http://host", { ...metadata, inputs }, false);
    const [, body = ""] = /^curl --data '([^']*)' http:/.exec(curl) ?? [];
    expect(JSON.parse(body)).toEqual({
      inputs: [{ name: "it's", datatype: "FP32", shape: [1, 2], data: [0, 0] }],
    });
  });

  test("is left out where it would be too long", () => {
    const inputs = [{ name: "x", datatype: "FP32", shape: [-1, 3, 224, 224] } as const];
    expect(curlOf("http://host", { ...metadata, inputs }, false)).toEqual([
      "curl http://host/v2/models/it%27s",
    ]);
  });
});

describe("npm run serve", () => {
  interface Ended {
    readonly code: unknown;
    readonly text: string;
  }

  /** @param whileServing is called with what it printed, before Ctrl-C */
  async function run(
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
    whileServing: (text: string) => Promise<void> = async () => {},
  ): Promise<Ended> {
    const child = spawn(process.execPath, [join(import.meta.dirname, "serve.ts"), ...args], {
      env: { ...process.env, PORT: "0", METRICS_PORT: "0", WORKERS: "1", ...environment },
    });
    let text = "";
    const ready = Promise.withResolvers<void>();
    const read = (chunk: Buffer): void => {
      text += chunk.toString();
      // The last line: it serves.
      if (/^curl .*\/infer\n$/m.test(text)) ready.resolve();
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    const closed = once(child, "close");
    await Promise.race([ready.promise, closed]);
    if (child.exitCode === null) await whileServing(text).finally(() => child.kill("SIGINT"));
    const [code] = (await closed) as [unknown];
    return { code, text };
  }

  const iris = join(examples, "iris", "models", "1.0.0");

  test.each([
    ["a bundle", iris, /^Serving model 1\.0\.0 at http:/],
    ["a model's file", join(fixtures, "table.onnx"), /^Serving table at http:/],
  ])("serves %s until Ctrl-C, and shows the requests", async (_, path, banner) => {
    const { code, text } = await run([path]);
    expect(text).toMatch(banner);
    expect(text).toMatch(/^curl --data '\{"inputs":.*\}' http:\/\/127\.0\.0\.1:\d+\/v2\/models\//m);
    expect(code).toBe(0);
  });

  test("serves a link to a model, as the cache of Hugging Face has them", async () => {
    const folder = await mkdtemp(join(tmpdir(), "aiapp-alone-"));
    onTestFinished(async () => rm(folder, { recursive: true }));
    await symlink(join(fixtures, "table.onnx"), join(folder, "TABLE.ONNX"));
    const { code, text } = await run([join(folder, "TABLE.ONNX")]);
    expect(text).toMatch(/^Serving TABLE at http:/);
    expect(code).toBe(0);
  });

  test("ends on a file that is no model, and names it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "aiapp-alone-"));
    onTestFinished(async () => rm(folder, { recursive: true }));
    await writeFile(join(folder, "net.onnx"), "no model");
    expect(await run([join(folder, "net.onnx")])).toEqual({
      code: 1,
      text: expect.stringMatching(/^the runtime rejects net\.onnx: /),
    });
  });

  test("ends on a link that leads to no file, and says that it is one", async () => {
    const folder = await mkdtemp(join(tmpdir(), "aiapp-alone-"));
    onTestFinished(async () => rm(folder, { recursive: true }));
    await symlink("gone", join(folder, "net.onnx"));
    expect(await run([join(folder, "net.onnx")])).toEqual({
      code: 1,
      text: expect.stringMatching(/^net\.onnx of the bundle is a link that leads to no file: /),
    });
  });

  test("serves with API keys, and shows requests that have none of them", async () => {
    const folder = await mkdtemp(join(tmpdir(), "aiapp-alone-"));
    onTestFinished(async () => rm(folder, { recursive: true }));
    const key = "0123456789abcdef0123456789abcdef";
    const file = join(folder, "keys");
    await writeFile(file, `${key}\n`);
    const answers: unknown[] = [];
    const { code, text } = await run([iris], { API_KEYS_FILE: file }, async (shown) => {
      const [, header = "", url = ""] = /^curl --header '(.+?)' (\S+)$/m.exec(shown) ?? [];
      for (const own of [header, header.replace("<key>", key)]) {
        const authorization = own.replace("Authorization: ", "");
        answers.push((await fetch(url, { headers: { authorization } })).status);
      }
    });
    expect(answers).toEqual([401, 200]);
    expect(text).toMatch(/^curl --header 'Authorization: Bearer <key>' --data '\{/m);
    expect(text).not.toContain(key);
    expect(code).toBe(0);
  });

  test.each(["org/res net", "it's 100 %?#", "ü".repeat(250)])(
    "serves the model %j, whose paths to copy it answers",
    async (name) => {
      const answers: unknown[] = [];
      const { code, text } = await run([iris], { MODEL_NAME: name }, async (shown) => {
        const [url = ""] = /(?<=^curl )\S+$/m.exec(shown) ?? [];
        answers.push(await (await fetch(url)).json());
      });
      expect(text).toContain(`Serving ${name} 1.0.0 at http:`);
      expect(answers).toEqual([expect.objectContaining({ name })]);
      expect(code).toBe(0);
    },
  );

  test.each([["stats", /^✖ is taken: \/v2\/models\/stats answers statistics.+ at MODEL_NAME\n$/s]])(
    "refuses a name that it cannot serve at its paths: %s",
    async (name, message) => {
      expect(await run([iris], { MODEL_NAME: name })).toEqual({
        code: 1,
        text: expect.stringMatching(message),
      });
    },
  );

  test.each([
    ["nothing", [], 2, /^npm run serve -- </],
    ["what is not there", ["/nowhere"], 2, /^There is no \/nowhere: /],
    ["what is no bundle", [examples], 1, /^the bundle has no model\.onnx/],
  ])("ends on %s with what to do", async (_, args, code, message) => {
    const ended = await run(args);
    expect(ended).toEqual({ code, text: expect.stringMatching(message) });
  });
});
