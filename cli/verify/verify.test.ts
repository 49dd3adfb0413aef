import { cp, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { startStore, account, accountKey } from "../publish/azurite.testing.ts";
import { publishCommand } from "../publish/command.ts";
import { styleFor, type Terminal } from "../terminal.ts";
import { verifyCommand } from "./verify.ts";

const idle = new AbortController().signal;
const iris = join(import.meta.dirname, "..", "..", "examples", "iris", "models", "1.0.0");

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aiapp-verify-"));
  await cp(iris, folder, { recursive: true });
});
afterEach(async () => rm(folder, { recursive: true }));

function capture(): Terminal & { readonly text: () => string } {
  let text = "";
  const add = (more: string): void => {
    text += more;
  };
  const style = styleFor(false);
  return { out: add, err: add, interactive: false, columns: 80, style, text: () => text };
}

async function expectNine(): Promise<void> {
  const file = join(folder, "samples", "1.json");
  const sample = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
  await writeFile(file, JSON.stringify({ ...sample, expected: [[["nine", 99]]] }));
}

describe("aiapp verify", () => {
  test("shows what it checks, and what a pod would serve", async () => {
    const terminal = capture();
    await verifyCommand(folder, { output: "text" }, terminal, idle);
    expect(terminal.text()).toBe(
      [
        "Checking the files",
        "Loading the model",
        "Scored samples/1.json (1 of 1)",
        `${folder} can be served.`,
        "  inputs   input FP32 [any, 4]",
        "  outputs  probabilities FP32 [any, 3]",
        "  labels   3",
        "  samples  1 answer as expected",
        "",
      ].join("\n"),
    );
  });

  test("follows links inside of the folder, whose files publish uploads", async () => {
    await rename(join(folder, "model.onnx"), join(folder, "iris-1.onnx"));
    await symlink("iris-1.onnx", join(folder, "model.onnx"));
    const terminal = capture();
    await verifyCommand(folder, { output: "text" }, terminal, idle);
    expect(terminal.text()).toContain(`${folder} can be served.`);
  });

  test("warns of a bundle that proves nothing", async () => {
    await rm(join(folder, "samples"), { recursive: true });
    const terminal = capture();
    await verifyCommand(folder, { output: "text" }, terminal, idle);
    expect(terminal.text()).toContain("warning: no samples: nothing proves");
  });

  test("refuses an answer that differs from its sample", async () => {
    await expectNine();
    await expect(verifyCommand(folder, { output: "json" }, capture(), idle)).rejects.toMatchObject({
      code: "BundleRefused",
      message: expect.stringMatching(/^the answer to samples\/1\.json differs/),
      fix: expect.stringContaining("ModelLoadFailed"),
    });
  });

  test("refuses a model that the runtime cannot load", async () => {
    await writeFile(join(folder, "model.onnx"), "weights");
    await expect(verifyCommand(folder, { output: "text" }, capture(), idle)).rejects.toMatchObject({
      code: "BundleRefused",
    });
  });

  test("checks names only where there is no model.onnx, and says so", async () => {
    await rm(join(folder, "model.onnx"));
    const terminal = capture();
    await verifyCommand(folder, { output: "text" }, terminal, idle);
    expect(terminal.text()).toContain("can be published; no model server checked it");
  });
});

describe("aiapp publish", () => {
  test("verifies first: a wrong bundle uploads nothing, unless with --no-verify", async () => {
    await expectNine();
    await using store = await startStore();
    const env = { AZURE_STORAGE_KEY: accountKey };
    const publish = async (verify: boolean): Promise<void> =>
      publishCommand(
        folder,
        {
          to: `${store.origin}/${account}/models/iris/1`,
          output: "text",
          parallel: 1,
          allowHttp: false,
          anyVersion: false,
          verify,
        },
        capture(),
        env,
        Date.now,
        idle,
      );
    const stored = async (): Promise<number> => {
      let count = 0;
      const blobs = store.service.getContainerClient("models").listBlobsFlat();
      for await (const { name } of blobs) count += name === "" ? 0 : 1;
      return count;
    };
    await expect(publish(true)).rejects.toMatchObject({ code: "BundleRefused" });
    expect(await stored()).toBe(0);
    await publish(false);
    expect(await stored()).toBe(4);
  });
});
