import sharp from "sharp";
import { describe, expect, test } from "vitest";

import { get, infer, serving, tensor } from "./infer.testing.ts";
import { buildModel, type ModelSpec } from "./onnx/build.testing.ts";
import { refusalOf, scores, type BundleFiles } from "./serve.testing.ts";
import type { Server } from "./server.ts";

/** What the server makes of the first dimension of a model that takes images: each image is scored. */

type Dims = ModelSpec["inputs"][number]["dims"];

const EXACT = { fit: "fill", kernel: "nearest", scale: [1] };
const GREY = { ...EXACT, width: 2, height: 2, channels: "grey" };
const RGB = { ...EXACT, width: 2, height: 2 };

/** A picture of 2 × 2 pixels of these values. */
async function picture(values: readonly number[], channels: 1 | 3 = 1): Promise<string> {
  const raw = { width: 2, height: 2, channels };
  const png = await sharp(Uint8Array.from(values), { raw }).png().toBuffer();
  return png.toString("base64");
}

/** A picture of one colour. */
async function colour(red: number, green: number, blue: number): Promise<string> {
  return picture(
    [1, 2, 3, 4].flatMap(() => [red, green, blue]),
    3,
  );
}

function bundle(
  preprocessing: object,
  input: Dims,
  output: Dims,
  nodes: ModelSpec["nodes"],
  type: ModelSpec["inputs"][number]["type"] = "float",
): BundleFiles {
  return {
    "model.onnx": buildModel({
      nodes,
      inputs: [{ name: "x", type: "float", dims: input }],
      outputs: [{ name: "y", type, dims: output }],
    }),
    "preprocessing.json": preprocessing,
  };
}

/** The mean of each channel. */
function means(input: Dims, output: Dims): BundleFiles {
  return bundle(RGB, input, output, [
    { op: "GlobalAveragePool", inputs: ["x"], outputs: ["p"] },
    { op: "Flatten", inputs: ["p"], outputs: ["y"] },
  ]);
}

/** The places of all pixels that are not black. */
function finder(output: Dims = ["dets", 4]): BundleFiles {
  const nodes = [
    { op: "NonZero", inputs: ["x"], outputs: ["i"] },
    { op: "Transpose", inputs: ["i"], outputs: ["y"] },
  ];
  return bundle(GREY, ["batch", 1, 2, 2], output, nodes, "int64");
}

/** The answer to these images, and the rows of each run. */
async function scored(
  server: Server,
  images: readonly string[],
): Promise<{ readonly answer: readonly unknown[]; readonly runs: number }> {
  const runsOf = async (): Promise<number> => {
    const { body } = await get(server, "/v2/models/model/stats");
    const { model_stats: stats } = body as { model_stats: { execution_count: number }[] };
    return stats[0]?.execution_count ?? 0;
  };
  const before = await runsOf();
  const answer = await scores(server, { input: images });
  return { answer, runs: (await runsOf()) - before };
}

const three = [
  [1, 2, 3],
  [4, 5, 6],
  [7, 8, 9],
] as const;

const colours = async (): Promise<readonly string[]> =>
  Promise.all(three.map(async ([red, green, blue]) => colour(red, green, blue)));

describe("several images of a request", () => {
  test.each<[string, Dims, Dims, object, number]>([
    ["share a run where the batch has a name", ["batch", 3, 2, 2], ["batch", 3], {}, 1],
    ["share one also with BATCHING=off", ["batch", 3, 2, 2], ["batch", 3], { BATCHING: "off" }, 1],
    ["run one by one where the batch is fixed at 1", [1, 3, 2, 2], [1, 3], {}, 3],
    [
      "run one by one where the batch is fixed at 1, also with BATCHING=off",
      [1, 3, 2, 2],
      [1, 3],
      { BATCHING: "off" },
      3,
    ],
    ["run two by two where the batch is fixed at 2", [2, 3, 2, 2], [2, 3], {}, 2],
    [
      "run two by two where the batch is fixed at 2, also with BATCHING=off",
      [2, 3, 2, 2],
      [2, 3],
      { BATCHING: "off" },
      2,
    ],
    [
      "run one by one where the output has another name for its rows",
      ["batch", 3, 2, 2],
      ["y_dim_0", 3],
      {},
      3,
    ],
    [
      "share a run with BATCHING=on where the output has another name for its rows",
      ["batch", 3, 2, 2],
      ["y_dim_0", 3],
      { BATCHING: "on" },
      1,
    ],
  ])("%s", async (_, input, output, environment, runs) => {
    const server = await serving(means(input, output), { ...environment });
    expect(await scored(server, await colours())).toEqual({ answer: three, runs });
  });

  test("run one by one where the batch is squeezed out of the answer", async () => {
    const server = await serving(
      bundle(
        RGB,
        [1, 3, 2, 2],
        [3],
        [
          { op: "GlobalAveragePool", inputs: ["x"], outputs: ["p"] },
          { op: "Squeeze", inputs: ["p"], outputs: ["y"] },
        ],
      ),
    );
    expect(await scored(server, await colours())).toEqual({ answer: three, runs: 3 });
  });

  test.each<[string, object, Dims, number[]]>([
    ["[height, width, channels]", { ...RGB, layout: "NHWC" }, [2, 2, 3], [0, 1]],
    ["[channels, height, width]", RGB, [3, 2, 2], [1, 2]],
    ["[channels, height, width] of free sizes", RGB, ["c", "h", "w"], [1, 2]],
  ])("run one by one where the model takes one, of %s", async (_, preprocessing, input, axes) => {
    const files = bundle(
      preprocessing,
      input,
      [3],
      [
        { op: "ReduceMean", inputs: ["x"], outputs: ["m"], integers: { axes, keepdims: 0 } },
        { op: "Softmax", inputs: ["m"], outputs: ["y"] },
      ],
    );
    const server = await serving({ ...files, "labels.txt": "red\ngreen\nblue\n" });
    const images = [await colour(0, 0, 200), await colour(0, 200, 0)];
    const rest = (...names: string[]): unknown[] => names.map((name) => [name, 0]);
    expect(await scored(server, images)).toEqual({
      answer: [
        [["blue", 100], ...rest("red", "green")],
        [["green", 100], ...rest("red", "blue")],
      ],
      runs: 2,
    });
  });

  test("are whole answers of a model that gives as many rows as an image has", async () => {
    const files = bundle(
      { ...RGB, layout: "NHWC" },
      [2, 2, 3],
      [2, 2, 3],
      [{ op: "Identity", inputs: ["x"], outputs: ["y"] }],
    );
    const server = await serving(files);
    const pixels = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    expect(await scored(server, [await picture(pixels, 3)])).toEqual({ answer: [pixels], runs: 1 });
    expect(
      await infer(server, { inputs: [tensor("x", "FP32", [1, 2, 3], pixels.slice(0, 6))] }),
    ).toMatchObject({
      status: 400,
      body: { error: 'the input "x" has the shape [1, 2, 3], the model takes [2, 2, 3]' },
    });
  });

  test("fail the start where the model takes several for one answer", async () => {
    const files = bundle(
      RGB,
      [4, 3, 2, 2],
      [3],
      [
        {
          op: "ReduceMean",
          inputs: ["x"],
          outputs: ["y"],
          integers: { axes: [0, 2, 3], keepdims: 0 },
        },
      ],
    );
    expect(await refusalOf(files)).toMatchObject({
      code: "BUNDLE_INVALID",
      message:
        "the model takes 4 images at once, and its output y of shape [3] has no row for each: export it for one image, or remove preprocessing.json",
    });
  });
});

describe("a detector", () => {
  test.each<[string, Dims]>([
    ["by another name", ["dets", 4]],
    ["without a name", ["", 4]],
    ["by the name of the batch, which is wrong", ["batch", 4]],
  ])("answers to each image all that it finds, whose number is declared %s", async (_, output) => {
    const server = await serving(finder(output));
    // As many things as images.
    const images = [await picture([0, 9, 9, 0]), await picture([0, 0, 0, 0])];
    expect(await scored(server, images)).toEqual({
      answer: [[0, 0, 0, 1, 0, 0, 1, 0], []],
      runs: 2,
    });
  });

  test("of a fixed batch of one does so, too", async () => {
    const nodes = [
      { op: "NonZero", inputs: ["x"], outputs: ["i"] },
      { op: "Transpose", inputs: ["i"], outputs: ["y"] },
    ];
    const server = await serving(bundle(GREY, [1, 1, 2, 2], ["dets", 4], nodes, "int64"));
    const images = [await picture([7, 0, 0, 0]), await picture([0, 0, 0, 7])];
    expect((await scored(server, images)).answer).toEqual([
      [0, 0, 0, 0],
      [0, 0, 1, 1],
    ]);
  });

  test("fails the start with labels, which name no classes there", async () => {
    expect(await refusalOf({ ...finder(), "labels.txt": "a\nb\nc\nd\n" })).toMatchObject({
      code: "BUNDLE_INVALID",
      message:
        "labels.txt has 4 lines, but the output y gives no row of classes for a row of input: in the first run its shape is [0, 4]. Remove labels.txt, or name the output of the classes in postprocessing.json",
    });
    expect(await refusalOf({ ...finder(), "labels.txt": "a\nb\n" })).toMatchObject({
      code: "BUNDLE_INVALID",
      message: "labels.txt has 2 lines, the model 4 classes",
    });
  });
});
