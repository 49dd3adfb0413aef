import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { readFolder } from "./folder.ts";

const idle = new AbortController().signal;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aiapp-folder-"));
});
afterEach(async () => rm(folder, { recursive: true }));

async function put(path: string, content = "x"): Promise<void> {
  await mkdir(join(folder, path, ".."), { recursive: true });
  await writeFile(join(folder, path), content);
}

async function refusal(): Promise<string> {
  return readFolder(folder, idle).then(
    () => "accepted",
    (error: Error) => error.message,
  );
}

describe("a folder to publish", () => {
  test("is read with its subfolders, sorted by path", async () => {
    await put("model.onnx", "weights");
    await put("samples/2.json");
    await put("samples/1.json");
    const { files, warnings } = await readFolder(folder, idle);
    expect(files.map(({ path, size }) => [path, size])).toEqual([
      ["model.onnx", 7],
      ["samples/1.json", 1],
      ["samples/2.json", 1],
    ]);
    expect(warnings).toEqual([]);
  });

  test("is published without its hidden files and folders, with a warning", async () => {
    await put("model.onnx");
    await put(".DS_Store");
    await put(".git/config");
    const { files, warnings } = await readFolder(folder, idle);
    expect(files.map((file) => file.path)).toEqual(["model.onnx"]);
    expect(warnings.toSorted()).toEqual([
      ".DS_Store is hidden: skipped",
      ".git is hidden: skipped",
    ]);
  });

  test("without model.onnx is published with a warning", async () => {
    await put("weights.pt");
    const { warnings } = await readFolder(folder, idle);
    expect(warnings).toEqual([expect.stringContaining("no model.onnx")]);
  });

  test("may have links to its own files", async () => {
    await put("model.onnx", "weights");
    await symlink("model.onnx", join(folder, "copy.onnx"));
    const { files } = await readFolder(folder, idle);
    expect(files.map(({ path, size }) => [path, size])).toEqual([
      ["copy.onnx", 7],
      ["model.onnx", 7],
    ]);
  });

  test("is refused with every problem at once", async () => {
    await put("model.onnx");
    await put("a file with spaces.txt");
    await symlink("/etc/hostname", join(folder, "out.txt"));
    await symlink("nowhere", join(folder, "dead.txt"));
    await symlink(".", join(folder, "loop"));
    await execa("mkfifo", [join(folder, "pipe")]);
    const message = await refusal();
    for (const part of [
      /a file with spaces\.txt must be a relative path .*rename it/,
      /out\.txt links to \/etc\/hostname, outside the folder/,
      /dead\.txt is a broken link/,
      /loop links to/,
      /pipe is neither a file nor a folder/,
    ]) {
      expect(message).toMatch(part);
    }
  });

  test("that is empty is refused", async () => {
    expect(await refusal()).toContain("it has no file");
  });

  test("that is a file or does not exist is refused", async () => {
    await put("model.onnx");
    await expect(readFolder(join(folder, "model.onnx"), idle)).rejects.toMatchObject({
      code: "BundleInvalid",
      message: expect.stringContaining("is not a folder"),
    });
    await expect(readFolder(join(folder, "nowhere"), idle)).rejects.toMatchObject({
      code: "BundleInvalid",
      message: expect.stringContaining("ENOENT"),
    });
  });

  test("with an invalid manifest.json is refused", async () => {
    await put("model.onnx");
    await put("manifest.json", '{"formatVersion": 2}');
    expect(await refusal()).toContain("is not a manifest");
  });
});
