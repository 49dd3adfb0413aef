import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { MAX_MANIFEST_BYTES } from "../../crds/bundle.ts";
import { noOnnx } from "../onnx/build.testing.ts";
import type { OnnxFile } from "../onnx/onnx-file.ts";
import { readBundle } from "./bundle.ts";
import type { Links } from "./files.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aiapp-bundle-"));
});
afterEach(async () => rm(folder, { recursive: true }));

async function put(path: string, content: unknown): Promise<void> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, typeof content === "string" ? content : JSON.stringify(content));
}

/** Writes the files and a manifest that describes them, with the fields of `wrong` in the place of the right ones. */
async function publish(
  files: Readonly<Record<string, string>>,
  wrong: Readonly<Record<string, object>> = {},
): Promise<void> {
  for (const [path, content] of Object.entries(files)) await put(path, content);
  await put("manifest.json", {
    formatVersion: 1,
    name: "digits",
    version: "1",
    files: Object.entries(files).map(([path, content]) => ({
      path,
      size: Buffer.byteLength(content),
      sha256: createHash("sha256").update(content).digest("hex"),
      ...wrong[path],
    })),
  });
}

async function refusal(path = folder, links: Links = "refuse"): Promise<unknown> {
  return readBundle(path, links).then(
    () => "accepted",
    (error: unknown) => error,
  );
}

function refused(code: string, message: RegExp): unknown {
  return expect.objectContaining({
    name: "ServerError",
    status: 500,
    code,
    message: expect.stringMatching(message),
  });
}

const IMAGES = { width: 8, height: 4 };

/** What is read of a model file that is no ONNX: the runtime rejects it later. */
const NO_ONNX = (): OnnxFile => noOnnx(join(folder, "model.onnx"));

describe("a bundle with a manifest", () => {
  test("is read when each file is as the manifest says", async () => {
    await publish({ "model.onnx": "weights", "labels.txt": "cat\ndog\n", "deep/er/notes.md": "" });
    expect(await readBundle(folder, "refuse")).toEqual({
      model: NO_ONNX(),
      labels: ["cat", "dog"],
      preprocessing: undefined,
      postprocessing: undefined,
      samples: [],
    });
  });

  test("may hold files that the manifest does not name", async () => {
    await publish({ "model.onnx": "weights" });
    await put("left-over.txt", "x");
    expect(await readBundle(folder, "refuse")).toMatchObject({ model: NO_ONNX() });
  });

  test.each([
    "labels.txt",
    "synset.txt",
    "preprocessing.json",
    "postprocessing.json",
    "samples/1.json",
  ])("is rejected when the server would use %s, which the manifest does not list", async (path) => {
    await publish({ "model.onnx": "weights" });
    await put(path, path.endsWith("json") ? IMAGES : "cat");
    expect(await refusal()).toEqual(
      refused("BUNDLE_INVALID", new RegExp(`^${path} is in the bundle, but not in its manifest`)),
    );
  });

  test("is rejected when the manifest does not list model.onnx", async () => {
    await publish({ "labels.txt": "cat" });
    await put("model.onnx", "weights");
    expect(await refusal()).toEqual(
      refused("BUNDLE_INVALID", /^model\.onnx is in the bundle, but/),
    );
  });

  test("is refused when a file was cut short", async () => {
    await publish({ "model.onnx": "weights", "labels.txt": "cat\n" });
    await truncate(join(folder, "model.onnx"), 3);
    expect(await refusal()).toEqual(
      refused("BUNDLE_CHECKSUM", /^model\.onnx has 3 bytes, its manifest says 7: publish/),
    );
  });

  test("is refused when a file of the right size has another content", async () => {
    await publish({ "model.onnx": "weights", "samples/1.json": "12" });
    await put("samples/1.json", "21");
    expect(await refusal()).toEqual(
      refused("BUNDLE_CHECKSUM", /^samples\/1\.json differs from its manifest \(sha256\)/),
    );
  });

  test("is refused when a file that the manifest names is missing", async () => {
    await publish({ "model.onnx": "weights", "labels.txt": "cat\n" });
    await rm(join(folder, "labels.txt"));
    expect(await refusal()).toEqual(refused("BUNDLE_UNREADABLE", /has no labels\.txt/));
  });

  test("is checked before anything in it is read", async () => {
    await publish(
      { "model.onnx": "weights", "preprocessing.json": "{" },
      { "preprocessing.json": { size: 2 } },
    );
    expect(await refusal()).toEqual(refused("BUNDLE_CHECKSUM", /^preprocessing\.json has 1 bytes/));
  });

  test.each([
    ["is not JSON", "{", /manifest\.json of the bundle is not JSON/],
    [
      "has a format to come",
      { formatVersion: 2 },
      /manifest\.json of the bundle: .*formatVersion/s,
    ],
    [
      "names a file outside the folder",
      {
        formatVersion: 1,
        name: "digits",
        version: "1",
        files: [{ path: "../model.onnx", size: 1, sha256: "0".repeat(64) }],
      },
      /manifest\.json of the bundle: .*files\[0\]\.path/s,
    ],
  ])("is refused when the manifest %s", async (_, manifest, message) => {
    await put("model.onnx", "weights");
    await put("manifest.json", manifest);
    expect(await refusal()).toEqual(refused("BUNDLE_INVALID", message));
  });

  test("is refused when the manifest is larger than any that we write", async () => {
    await put("model.onnx", "weights");
    await put("manifest.json", " ".repeat(MAX_MANIFEST_BYTES + 1));
    expect(await refusal()).toEqual(
      refused("BUNDLE_INVALID", /manifest\.json of the bundle is larger than/),
    );
  });
});

describe("a bundle without a manifest", () => {
  test("needs no more than a model", async () => {
    await put("model.onnx", "weights");
    expect(await readBundle(folder, "refuse")).toEqual({
      model: NO_ONNX(),
      labels: undefined,
      preprocessing: undefined,
      postprocessing: undefined,
      samples: [],
    });
  });

  test("is refused without model.onnx, and says what to do", async () => {
    await put("labels.txt", "cat\n");
    expect(await refusal()).toEqual(
      refused("BUNDLE_UNREADABLE", /^the bundle has no model\.onnx: publish it with the model$/),
    );
  });

  test("is refused when its folder is not there", async () => {
    folder = join(folder, "nowhere");
    expect(await refusal()).toEqual(refused("BUNDLE_UNREADABLE", /has no model\.onnx/));
    folder = dirname(folder);
  });

  test("is refused when model.onnx is a folder", async () => {
    await mkdir(join(folder, "model.onnx"));
    expect(await refusal()).toEqual(refused("BUNDLE_UNREADABLE", /model\.onnx .* no plain file/));
  });
});

describe("a link", () => {
  test.each(["model.onnx", "labels.txt", "preprocessing.json", "samples/1.json"])(
    "in the place of %s is refused, though what it leads to is fine",
    async (path) => {
      await put("model.onnx", "weights");
      await put("labels.txt", "cat\n");
      await put("preprocessing.json", IMAGES);
      await put("samples/1.json", { request: [1], expected: [1] });
      await rename(join(folder, path), join(folder, "behind"));
      await symlink(join(folder, "behind"), join(folder, path));
      expect(await refusal()).toEqual(
        refused(
          "BUNDLE_UNREADABLE",
          new RegExp(
            `^${path} of the bundle is a link, and links are not followed in a container: put a copy of what`,
          ),
        ),
      );
    },
  );

  test.each(["samples", "deep"])(
    "in the place of the folder %s is refused, whatever it leads to",
    async (path) => {
      await publish({ "model.onnx": "weights", [`${path}/1.json`]: "{}" });
      await rename(join(folder, path), join(folder, "behind"));
      await symlink("behind", join(folder, path));
      expect(await refusal()).toEqual(
        refused("BUNDLE_UNREADABLE", new RegExp(`^${path} of the bundle is a link, `)),
      );
    },
  );

  test("in the place of the folder of samples is refused without a manifest too", async () => {
    await put("model.onnx", "weights");
    await put("behind/1.json", { request: [1], expected: [1] });
    await symlink("behind", join(folder, "samples"));
    expect(await refusal()).toEqual(refused("BUNDLE_UNREADABLE", /^samples of the bundle is a li/));
  });

  test("is refused also when the manifest has its content's checksum", async () => {
    await publish({ "model.onnx": "weights", "notes.md": "x" });
    await rename(join(folder, "notes.md"), join(folder, "behind"));
    await symlink("behind", join(folder, "notes.md"));
    expect(await refusal()).toEqual(refused("BUNDLE_UNREADABLE", /^notes\.md .* is a link, /));
  });

  test("that leads to the folder of the bundle is none of its own", async () => {
    await put("v1/model.onnx", "weights");
    await symlink("v1", join(folder, "current"));
    expect(await readBundle(join(folder, "current"), "refuse")).toMatchObject({
      model: { file: join(folder, "current", "model.onnx") },
    });
  });
});

describe("a link that is followed", () => {
  test("is read as what it leads to, of every file and folder", async () => {
    await publish({
      "model.onnx": "weights",
      "labels.txt": "cat\n",
      "samples/1.json": JSON.stringify({ request: [1], expected: [1] }),
    });
    await mkdir(join(folder, "blobs"));
    for (const path of ["model.onnx", "labels.txt", "samples", "manifest.json"]) {
      await rename(join(folder, path), join(folder, "blobs", path));
      await symlink(join("blobs", path), join(folder, path));
    }
    expect(await readBundle(folder, "follow")).toMatchObject({
      model: NO_ONNX(),
      labels: ["cat"],
      samples: [{ name: "samples/1.json" }],
    });
  });

  test("is refused when its content differs from the manifest", async () => {
    await publish({ "model.onnx": "weights" });
    await put("other", "stranger");
    await rm(join(folder, "model.onnx"));
    await symlink("other", join(folder, "model.onnx"));
    expect(await refusal(folder, "follow")).toEqual(refused("BUNDLE_CHECKSUM", /^model\.onnx has/));
  });

  test.each([
    ["nothing", "gone"],
    ["itself", "labels.txt"],
  ])("to %s is refused, and says that it is a link", async (_, target) => {
    await put("model.onnx", "weights");
    await symlink(target, join(folder, "labels.txt"));
    expect(await refusal(folder, "follow")).toEqual(
      refused("BUNDLE_UNREADABLE", /^labels\.txt of the bundle is a link that leads to no file: /),
    );
  });
});

describe("labels", () => {
  beforeEach(async () => put("model.onnx", "weights"));

  test("are the lines of labels.txt, without the ends that Windows gives them", async () => {
    await put("labels.txt", "tabby cat\r\nüber, dog\r\n\r\n");
    expect((await readBundle(folder, "refuse")).labels).toEqual(["tabby cat", "über, dog"]);
  });

  test("are read without the byte order mark that Windows' editors write", async () => {
    await put("labels.txt", "\ufefftabby\ntiger\n");
    expect((await readBundle(folder, "refuse")).labels).toEqual(["tabby", "tiger"]);
  });

  test("that are not UTF-8 are refused by line and byte", async () => {
    await writeFile(join(folder, "labels.txt"), Buffer.from("Hund\nKätzchen\n", "latin1"));
    expect(await refusal()).toEqual(
      refused(
        "BUNDLE_INVALID",
        /^labels\.txt of the bundle is not UTF-8: line 2 has the byte 0xe4; save the file as UTF-8$/,
      ),
    );
  });

  test("may be empty in the middle: a class without a name keeps its place", async () => {
    await put("labels.txt", "\ncat\n\ndog");
    expect((await readBundle(folder, "refuse")).labels).toEqual(["", "cat", "", "dog"]);
  });

  test("are those of synset.txt when there is no labels.txt", async () => {
    await put("synset.txt", "n02123045 tabby, tabby cat\nn02123159 tiger cat\n");
    expect((await readBundle(folder, "refuse")).labels).toEqual([
      "n02123045 tabby, tabby cat",
      "n02123159 tiger cat",
    ]);
    await put("labels.txt", "tabby\ntiger\n");
    expect((await readBundle(folder, "refuse")).labels).toEqual(["tabby", "tiger"]);
  });
});

describe("preprocessing.json", () => {
  beforeEach(async () => put("model.onnx", "weights"));

  test("needs only the image's size", async () => {
    await put("preprocessing.json", IMAGES);
    expect((await readBundle(folder, "refuse")).preprocessing).toEqual({
      width: 8,
      height: 4,
      fit: "cover",
      kernel: "lanczos3",
      channels: "RGB",
      layout: "NCHW",
      mean: [0],
      scale: [255],
    });
  });

  test.each([
    ["width", { height: 4 }],
    ["height", { ...IMAGES, height: 0 }],
    ["width", { ...IMAGES, width: 8193 }],
    ["fit", { ...IMAGES, fit: "inside" }],
    ["kernel", { ...IMAGES, kernel: "mitchell" }],
    ["resize", { ...IMAGES, resize: 7 }],
    ["resize", { ...IMAGES, resize: 9, fit: "fill" }],
    ["channels", { ...IMAGES, channels: "rgb" }],
    ["layout", { ...IMAGES, layout: "CHW" }],
    ["mean", { ...IMAGES, mean: 127.5 }],
    ["mean", { ...IMAGES, mean: [1, 2, 3, 4] }],
    ["mean", { ...IMAGES, mean: [1, 2] }],
    ["mean", { ...IMAGES, channels: "grey", mean: [1, 2, 3] }],
    ["scale", { ...IMAGES, scale: [1, 2] }],
    ["scale[1]", { ...IMAGES, scale: [255, 0, 255] }],
  ])("that is wrong about %s is refused by that name: %j", async (field, content) => {
    await put("preprocessing.json", content);
    const error = await refusal();
    expect(error).toEqual(refused("BUNDLE_INVALID", /^preprocessing\.json of the bundle: /));
    expect(`${String(error)}\n`).toContain(`→ at ${field}\n`);
  });

  test.each(["std", "channel", "Mean", "__proto__"])(
    "with a field that is not known is refused by its name: %s",
    async (field) => {
      await put("preprocessing.json", `{"width": 8, "height": 4, "${field}": [1]}`);
      const error = await refusal();
      expect(error).toEqual(refused("BUNDLE_INVALID", /^preprocessing\.json of the bundle: /));
      expect(String(error)).toContain(`Unrecognized key: "${field}"`);
    },
  );

  test("that is wrong about two fields is refused by both names", async () => {
    await put("preprocessing.json", { width: "8", height: 4, layout: "CHW" });
    expect(await refusal()).toEqual(refused("BUNDLE_INVALID", /width(.|\n)*layout/));
  });

  test("that is no JSON is refused", async () => {
    await put("preprocessing.json", "width: 8");
    expect(await refusal()).toEqual(
      refused("BUNDLE_INVALID", /^preprocessing\.json of the bundle is not JSON$/),
    );
  });
});

describe("postprocessing.json", () => {
  beforeEach(async () => put("model.onnx", "weights"));

  test("names the activation and the output, or leaves both out", async () => {
    await put("postprocessing.json", { activation: "sigmoid", output: "scores" });
    expect((await readBundle(folder, "refuse")).postprocessing).toEqual({
      activation: "sigmoid",
      output: "scores",
    });
    await put("postprocessing.json", {});
    expect((await readBundle(folder, "refuse")).postprocessing).toEqual({});
  });

  test.each([
    ["activation", { activation: "relu" }],
    ["outputs", { outputs: "scores" }],
  ])("that is wrong about %s is rejected by that name", async (field, content) => {
    await put("postprocessing.json", content);
    expect(await refusal()).toEqual(
      refused(
        "BUNDLE_INVALID",
        new RegExp(`^postprocessing\\.json of the bundle: .*${field}`, "s"),
      ),
    );
  });
});

describe("samples", () => {
  beforeEach(async () => put("model.onnx", "weights"));

  test("are read by name, with a tolerance of their own if they say one", async () => {
    await put("samples/2.json", { request: [[1]], expected: [[2]], tolerance: 0 });
    await put("samples/1.json", { request: { input: ["aa"] }, expected: [[["cat", 99.5]]] });
    await put("samples/readme.md", "not a sample");
    expect((await readBundle(folder, "refuse")).samples).toEqual([
      {
        name: "samples/1.json",
        request: { input: ["aa"] },
        expected: [[["cat", 99.5]]],
        tolerance: 0.01,
      },
      { name: "samples/2.json", request: [[1]], expected: [[2]], tolerance: 0 },
    ]);
  });

  test("with a field that is not known are refused by file and field", async () => {
    await put("samples/1.json", { request: [1], expected: [1], tolerence: 5 });
    expect(await refusal()).toEqual(
      refused("BUNDLE_INVALID", /^samples\/1\.json of the bundle: .*"tolerence"/s),
    );
  });

  test("are none without a folder; a file of its name is refused", async () => {
    expect((await readBundle(folder, "refuse")).samples).toEqual([]);
    await put("samples", "not a folder");
    expect(await refusal()).toEqual(
      refused("BUNDLE_UNREADABLE", /^samples of the bundle is no folder$/),
    );
  });

  test("that cannot be read are refused: a folder that leads to itself, which root cannot read either", async () => {
    await symlink(join(folder, "samples"), join(folder, "samples"));
    expect(await refusal()).toEqual(refused("BUNDLE_UNREADABLE", /^samples/));
  });

  test("beyond sixteen are ignored: a start must not last long", async () => {
    for (let index = 10; index < 30; index += 1)
      await put(`samples/${index}.json`, { request: [index], expected: [] });
    const { samples } = await readBundle(folder, "refuse");
    expect(samples.map(({ request }) => request)).toEqual(
      Array.from({ length: 16 }, (_, index) => [index + 10]),
    );
  });

  test.each([
    ["an expectation", { request: [1] }, "expected"],
    ["a request", { expected: [1] }, "request"],
    ["a tolerance that can be met", { request: [1], expected: [1], tolerance: -1 }, "tolerance"],
  ])("without %s are refused by file and field", async (_, content, field) => {
    await put("samples/1.json", content);
    expect(await refusal()).toEqual(
      refused("BUNDLE_INVALID", new RegExp(`^samples/1\\.json of the bundle: .*${field}`, "s")),
    );
  });
});
