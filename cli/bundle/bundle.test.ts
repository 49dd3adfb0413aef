import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

// oxlint-disable-next-line no-restricted-imports -- Models that no example has.
import { buildModel } from "../../model-server/onnx/build.testing.ts";
// oxlint-disable-next-line no-restricted-imports -- The same.
import { QUOTIENT, RESHAPE } from "../../model-server/onnx/models.testing.ts";
import type { CliError } from "../errors.ts";
import { runCheck } from "../verify/model-server.ts";
import { makeBundle, type BundleOptions } from "./bundle.ts";
import { preprocessingOf } from "./preprocessing.ts";

const idle = new AbortController().signal;
const examples = join(import.meta.dirname, "..", "..", "examples");
const digits = join(examples, "digits", "models", "2");
const iris = join(examples, "iris", "models", "1.0.0");

/** Of one number, which is 0 in an example. */
const SHARES = buildModel({
  nodes: [{ op: "Div", inputs: ["x", "x"], outputs: ["y"] }],
  inputs: [{ name: "x", type: "float", dims: ["batch", 1] }],
  outputs: [{ name: "y", type: "float", dims: ["batch", 1] }],
});

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "aiapp-bundle-"));
});
afterEach(async () => rm(root, { recursive: true }));

async function make(options: Partial<BundleOptions>): Promise<string> {
  const to = join(root, "made");
  await makeBundle(
    { model: join(iris, "model.onnx"), to, samples: [], ...options },
    () => {},
    idle,
  );
  return to;
}

/** A model that adds the two numbers of WEIGHTS to its input, which it reads from w.bin. */
const WEIGHTED = Buffer.from(
  "CAg6bgoOCgF4CgF3EgF5IgNBZGQSBWdyYXBoKikIAhABQgF3ahEKCGxvY2F0aW9uEgV3LmJpbmoLCgZsZW5ndGgSAThwAVoUCgF4Eg8KDQgBEgkKAxIBTgoCCAJiFAoBeRIPCg0IARIJCgMSAU4KAggCQgQKABAN",
  "base64",
);
const WEIGHTS = new Uint8Array(Float32Array.of(10, 20).buffer);

async function refusal(promise: Promise<unknown>): Promise<CliError> {
  return promise.then(
    () => {
      throw new Error("the promise did not reject");
    },
    (error: CliError) => error,
  );
}

async function sampleOf(folder: string, name: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(folder, "samples", name), "utf8")) as Record<
    string,
    unknown
  >;
}

describe("a bundle", () => {
  test("of pictures has the sizes that the model declares, and the answers of its samples", async () => {
    const model = join(root, "net.onnx");
    await copyFile(join(digits, "model.onnx"), model);
    const folder = await make({
      model,
      labels: join(digits, "labels.txt"),
      preprocessing: "unit",
      samples: [join(examples, "digits", "pictures", "3.png")],
    });
    expect((await readdir(folder)).toSorted()).toEqual([
      "labels.txt",
      "model.onnx",
      "preprocessing.json",
      "samples",
    ]);
    expect(JSON.parse(await readFile(join(folder, "preprocessing.json"), "utf8"))).toMatchObject({
      width: 8,
      height: 8,
      channels: "grey",
    });
    const { expected } = await sampleOf(folder, "1.json");
    expect(expected).toMatchObject([[["three", expect.any(Number)], {}, {}, {}, {}]]);
    expect(await runCheck("bundle", folder, () => {}, idle)).toMatchObject({
      kind: "servable",
      labels: 10,
      samples: 1,
    });
    expect(await readdir(root)).toEqual(["made", "net.onnx"]);
  });

  test("is made of a link to a model and its data, as the cache of Hugging Face has them", async () => {
    const snapshot = join(root, "snapshots", "main");
    await mkdir(join(root, "blobs"));
    await mkdir(snapshot, { recursive: true });
    await writeFile(join(root, "blobs", "aaaa"), WEIGHTED);
    await writeFile(join(root, "blobs", "bbbb"), WEIGHTS);
    await symlink("../../blobs/aaaa", join(snapshot, "MODEL.ONNX"));
    await symlink("../../blobs/bbbb", join(snapshot, "w.bin"));
    const folder = await make({ model: join(snapshot, "MODEL.ONNX") });
    const files = await readdir(folder, { withFileTypes: true });
    expect(files.filter((file) => file.isFile()).map(({ name }) => name)).toEqual(
      expect.arrayContaining(["model.onnx", "w.bin"]),
    );
    expect(new Uint8Array(await readFile(join(folder, "w.bin")))).toEqual(WEIGHTS);
  });

  test("is made of a link to a model whose data is beside that model", async () => {
    await mkdir(join(root, "far"));
    await writeFile(join(root, "far", "net.onnx"), WEIGHTED);
    await writeFile(join(root, "far", "w.bin"), WEIGHTS);
    await symlink("far/net.onnx", join(root, "near.onnx"));
    const folder = await make({ model: join(root, "near.onnx") });
    expect(await readdir(folder)).toEqual(["model.onnx", "samples", "w.bin"]);
  });

  test("without samples gets one that the model's inputs make", async () => {
    const folder = await make({});
    expect(await sampleOf(folder, "example.json")).toEqual({
      request: { input: [[0, 0.1, 0.2, 0.3]] },
      expected: [[expect.any(Number), expect.any(Number), expect.any(Number)]],
    });
    expect(await runCheck("bundle", folder, () => {}, idle)).toMatchObject({ samples: 1 });
  });

  test("without samples gets one of ones where the model rejects whole numbers of zero", async () => {
    const model = join(root, "quotient.onnx");
    await writeFile(model, QUOTIENT);
    const folder = await make({ model });
    expect(await sampleOf(folder, "example.json")).toEqual({
      request: { input: { a: [[1, 1]], b: [[1, 1]] } },
      expected: [[1, 1]],
    });
    expect(await runCheck("bundle", folder, () => {}, idle)).toMatchObject({ samples: 1 });
  });

  test("of a model that rejects zeros and ones has the sample that it is given", async () => {
    const model = join(root, "reshape.onnx");
    const request = join(root, "request.json");
    await writeFile(model, RESHAPE);
    await writeFile(request, JSON.stringify({ input: { x: [1, 2, 3, 4], shape: [2, 2] } }));
    const folder = await make({ model, samples: [request] });
    expect(await sampleOf(folder, "1.json")).toMatchObject({ expected: [[1, 2, 3, 4]] });
    expect(await runCheck("bundle", folder, () => {}, idle)).toMatchObject({ samples: 1 });
  });

  test.each([
    [
      "a model that rejects zeros and ones",
      RESHAPE,
      /^the model rejects the runs that warm it up, on zeros and on ones \(.+\): add a sample/,
    ],
    [
      "one whose answer to what its inputs make is not a number",
      SHARES,
      /^no sample can be made from the model's inputs \(.+ is not a number \(NaN\).+\): give one/,
    ],
  ])("is not made of %s without a sample, and says what to give", async (_, bytes, message) => {
    const model = join(root, "net.onnx");
    await writeFile(model, bytes);
    const refused = await refusal(make({ model }));
    expect(refused).toMatchObject({ code: "BundleRefused" });
    expect(refused.message).toMatch(message);
    expect(refused.message).toMatch(/ aiapp bundle --sample$/);
    expect(await readdir(root)).toEqual(["net.onnx"]);
  });

  test("takes a request as its own JSON", async () => {
    const request = join(root, "request.json");
    await writeFile(request, JSON.stringify({ input: [[5.1, 2.5, 3, 1.1]] }));
    const folder = await make({ labels: join(iris, "labels.txt"), samples: [request] });
    expect(await sampleOf(folder, "1.json")).toMatchObject({
      expected: [[["versicolor", 71.0504], {}, {}]],
    });
  });

  test("keeps an answer that came with its sample, and its tolerance", async () => {
    const sample = join(iris, "samples", "1.json");
    const folder = await make({ labels: join(iris, "labels.txt"), samples: [sample] });
    expect(await sampleOf(folder, "1.json")).toEqual(JSON.parse(await readFile(sample, "utf8")));
  });

  test("is not made where a sample came with another answer, and leaves nothing behind", async () => {
    const sample = join(root, "wrong.json");
    const request = { input: [[5.1, 2.5, 3, 1.1]] };
    await writeFile(sample, JSON.stringify({ request, expected: [[["setosa", 99]]] }));
    expect(
      await refusal(make({ labels: join(iris, "labels.txt"), samples: [sample] })),
    ).toMatchObject({ code: "BundleRefused" });
    expect(await readdir(root)).toEqual(["wrong.json"]);
  });

  test("is not made where labels and model do not fit, with the pod's own words", async () => {
    expect(await refusal(make({ labels: join(digits, "labels.txt") }))).toMatchObject({
      code: "BundleRefused",
      message: "labels.txt has 10 lines, the model 3 classes",
      fix: expect.stringContaining("ModelLoadFailed"),
    });
  });

  test("does not replace a folder that holds something", async () => {
    expect(await refusal(make({ to: digits }))).toMatchObject({
      code: "BundleInvalid",
      message: `${digits} is not empty`,
    });
  });

  test("ends at once when it is interrupted, and leaves nothing behind", async () => {
    const stop = new AbortController();
    const made = makeBundle(
      { model: join(iris, "model.onnx"), to: join(root, "made"), samples: [] },
      () => stop.abort(new Error("interrupted")),
      stop.signal,
    );
    expect((await refusal(made)).message).toBe("interrupted");
    expect(await readdir(root)).toEqual([]);
  });
});

describe("preprocessing", () => {
  const input = (shape: number[]) => [{ name: "x", datatype: "FP32", shape }];

  test("of ImageNet crops the middle 224 of 256 pixels, or as much of other sizes", async () => {
    expect(await preprocessingOf("imagenet", input([-1, 3, 224, 224]))).toMatchObject({
      width: 224,
      height: 224,
      resize: 256,
      mean: [123.675, 116.28, 103.53],
    });
    expect(await preprocessingOf("imagenet", input([-1, 3, 299, 299]))).toMatchObject({
      resize: 342,
    });
  });

  test("sees channels that come last", async () => {
    expect(await preprocessingOf("unit", input([1, 28, 20, 1]))).toMatchObject({
      width: 20,
      height: 28,
      channels: "grey",
      layout: "NHWC",
    });
  });

  test("sees the sizes of a model that takes one image, without a batch", async () => {
    expect(await preprocessingOf("unit", input([28, 20, 3]))).toMatchObject({
      width: 20,
      height: 28,
      layout: "NHWC",
    });
    expect(await preprocessingOf("unit", input([1, 28, 20]))).toMatchObject({
      width: 20,
      height: 28,
      channels: "grey",
    });
  });

  test("asks for sizes that the model does not declare", async () => {
    expect(await refusal(preprocessingOf("unit", input([-1, 3, -1, -1])))).toMatchObject({
      code: "BundleInvalid",
      message: "The model does not declare the width of its images: x is [-1, 3, -1, -1]",
    });
  });

  test("of a file wins over what the model declares", async () => {
    const file = join(root, "own.json");
    await writeFile(file, JSON.stringify({ width: 32, channels: "BGR" }));
    expect(await preprocessingOf(file, input([-1, 3, 16, 16]))).toEqual({
      width: 32,
      height: 16,
      channels: "BGR",
    });
  });
});
