import { describe, expect, test } from "vitest";

import { get, infer, serving, tensor } from "./infer.testing.ts";
import { buildModel, type ModelSpec } from "./onnx/build.testing.ts";
import { score, scores } from "./serve.testing.ts";
import type { Server } from "./server.ts";

/** What the server makes of the first dimension of a model's inputs, where clients send tensors. */

type Dims = ModelSpec["inputs"][number]["dims"];

/** Of one input `x` and one output `y`, both floats. */
function modelOf(input: Dims, output: Dims, nodes: ModelSpec["nodes"]): Buffer {
  return buildModel({
    nodes,
    inputs: [{ name: "x", type: "float", dims: input }],
    outputs: [{ name: "y", type: "float", dims: output }],
  });
}

/** Gives the distance of each element from the mean of all rows: rows belong together. */
function centre(first: number | string): Buffer {
  return modelOf(
    [first, 1],
    [first, 1],
    [
      { op: "ReduceMean", inputs: ["x"], outputs: ["m"], integers: { axes: [0], keepdims: 1 } },
      { op: "Sub", inputs: ["x", "m"], outputs: ["y"] },
    ],
  );
}

function identity(input: Dims, output: Dims = input): Buffer {
  return modelOf(input, output, [{ op: "Identity", inputs: ["x"], outputs: ["y"] }]);
}

/** Gives the places of all elements that are not 0, so many as there are: [row, column]. */
function finder(input: Dims, output: Dims): Buffer {
  return buildModel({
    nodes: [
      { op: "NonZero", inputs: ["x"], outputs: ["i"] },
      { op: "Transpose", inputs: ["i"], outputs: ["y"] },
    ],
    inputs: [{ name: "x", type: "float", dims: input }],
    outputs: [{ name: "y", type: "int64", dims: output }],
  });
}

const ones = (...shape: number[]): object =>
  tensor("x", "FP32", shape, Array(shape.reduce((product, dim) => product * dim, 1)).fill(1));

async function runsOf(server: Server): Promise<number> {
  const { body } = await get(server, "/v2/models/model/stats");
  const { model_stats: stats } = body as { model_stats: { execution_count: number }[] };
  return stats[0]?.execution_count ?? 0;
}

/** How many runs of the model it takes. */
async function countRuns(server: Server, request: () => Promise<unknown>): Promise<number> {
  const before = await runsOf(server);
  await request();
  return (await runsOf(server)) - before;
}

const shapesOf = async (server: Server): Promise<unknown> => {
  const { body } = await get(server, "/v2/models/model");
  const { inputs, outputs } = body as Record<"inputs" | "outputs", { shape: number[] }[]>;
  return [inputs[0]?.shape, outputs[0]?.shape];
};

describe("requests that come together", () => {
  test("are not mixed by a model whose rows belong together, by another name than that of a batch", async () => {
    const server = await serving({ "model.onnx": centre("n") }, { MAIN_THREAD_MS: "0" });
    const sent = Array.from({ length: 200 }, (_, at) => at);
    const answers = await Promise.all(sent.map(async (at) => scores(server, { input: [[at]] })));
    expect(answers).toEqual(sent.map(() => [[0]]));
  });

  test("are not mixed where the model finds other numbers of things, though it declares them rows", async () => {
    const server = await serving(
      { "model.onnx": finder(["batch", 4], ["batch", 2]) },
      { MAIN_THREAD_MS: "0" },
    );
    // Together as many things as rows.
    const sent = Array.from({ length: 200 }, (_, at) =>
      at % 2 === 0 ? [1, 1, 0, 0] : [0, 0, 0, 0],
    );
    const answers = await Promise.all(sent.map(async (row) => scores(server, { input: [row] })));
    expect(answers).toEqual(sent.map((_, at) => [at % 2 === 0 ? [0, 0, 0, 1] : []]));
  });
});

describe("with BATCHING=off", () => {
  test("a request of more rows than MAX_BATCH_ROWS reaches the model whole", async () => {
    const limits = { MAX_BATCH_ROWS: "2" };
    const model = { "model.onnx": centre("batch") };
    const input = [[1], [2], [3], [4], [5]];
    const server = await serving(model, { ...limits, BATCHING: "off" });
    const whole = await countRuns(server, async () => {
      expect(await scores(server, { input })).toEqual([[-2], [-1], [0], [1], [2]]);
    });
    expect(whole).toBe(1);
    expect((await get(server, "/v2/models/model/config")).body).toMatchObject({
      max_batch_size: 0,
      input: [{ dims: [-1, 1] }],
    });
    const batching = await serving(model, limits);
    expect(await countRuns(batching, async () => scores(batching, { input }))).toBe(3);
  });

  test("a fixed first dimension is part of the shape, which requests must have", async () => {
    const server = await serving({ "model.onnx": centre(4) }, { BATCHING: "off" });
    expect(await scores(server, { input: [[1], [2], [3], [6]] })).toEqual([[-2], [-1], [0], [3]]);
    const outputs = [{ name: "y", parameters: { classification: 1 } }];
    expect((await infer(server, { inputs: [ones(4, 1)], outputs })).body).toMatchObject({
      outputs: [{ name: "y", shape: [4, 1], data: ["0:0", "0:0", "0:0", "0:0"] }],
    });
    for (const rows of [1, 3, 5, 8])
      expect(await infer(server, { inputs: [ones(rows, 1)] })).toMatchObject({
        status: 400,
        body: { error: `the input "x" has the shape [${rows}, 1], the model takes [4, 1]` },
      });
    expect(await shapesOf(server)).toEqual([
      [4, 1],
      [4, 1],
    ]);
    expect((await get(server, "/v2/models/model/config")).body).toMatchObject({
      max_batch_size: 0,
      input: [{ dims: [4, 1] }],
    });
  });
});

describe("a model of a fixed batch", () => {
  test("says that it takes any number of rows, also where it rejects another shape", async () => {
    const server = await serving({ "model.onnx": identity([4, 1]) });
    expect(await shapesOf(server)).toEqual([
      [-1, 1],
      [-1, 1],
    ]);
    expect(await infer(server, { inputs: [ones(2, 3)] })).toMatchObject({
      status: 400,
      body: { error: 'the input "x" has the shape [2, 3], the model takes [any, 1]' },
    });
  });
});

describe("a model of a vector", () => {
  const shares = modelOf(
    [4],
    [4],
    [
      { op: "ReduceSum", inputs: ["x"], outputs: ["s"] },
      { op: "Div", inputs: ["x", "s"], outputs: ["y"] },
    ],
  );

  test("takes its exact shape, and says so", async () => {
    const server = await serving({ "model.onnx": shares });
    expect(await scores(server, { input: [1, 2, 3, 4] })).toEqual([
      [0.1, 0.2, 0.3, 0.4].map((share) => expect.closeTo(share, 6)),
    ]);
    for (const size of [2, 6])
      expect(await infer(server, { inputs: [ones(size)] })).toMatchObject({
        status: 400,
        body: { error: `the input "x" has the shape [${size}], the model takes [4]` },
      });
    expect(await shapesOf(server)).toEqual([[4], [4]]);
    expect((await get(server, "/v2/models/model/config")).body).toMatchObject({
      max_batch_size: 0,
      input: [{ dims: [4] }],
    });
  });

  test("names its elements by labels", async () => {
    const server = await serving({ "model.onnx": shares, "labels.txt": "a\nb\nc\nd\n" });
    const [[first] = []] = (await scores(server, { input: [1, 2, 3, 4] })) as [string, number][][];
    expect(first?.[0]).toBe("d");
  });

  test("may have more elements than a request has rows", async () => {
    const server = await serving({ "model.onnx": identity([1500]) });
    const input = Array.from({ length: 1500 }, (_, at) => at);
    expect(await scores(server, { input })).toEqual([input]);
    expect((await score(server, { input: [...input, 0] })).status).toBe(400);
  });
});

describe("a model of several inputs", () => {
  const product = buildModel({
    nodes: [{ op: "MatMul", inputs: ["a", "b"], outputs: ["y"] }],
    inputs: [
      { name: "a", type: "float", dims: ["m", "k"] },
      { name: "b", type: "float", dims: ["k", "n"] },
    ],
    outputs: [{ name: "y", type: "float", dims: ["m", "n"] }],
  });

  test("takes other numbers of rows where their first dimensions have other names", async () => {
    const server = await serving({ "model.onnx": product });
    const inputs = [
      tensor("a", "FP32", [2, 3], [1, 2, 3, 4, 5, 6]),
      tensor("b", "FP32", [3, 2], [1, 0, 0, 1, 1, 1]),
    ];
    expect(await infer(server, { inputs })).toMatchObject({
      status: 200,
      body: { outputs: [tensor("y", "FP32", [2, 2], [4, 5, 10, 11])] },
    });
  });

  test.each([
    [
      "of one size",
      [
        [1, 2],
        [3, 4],
      ],
      [
        [
          [1, 0],
          [0, 1],
        ],
      ],
      [[1, 2, 3, 4]],
    ],
    ["of others", [[1, 2, 3]], [[[1], [1], [1]]], [[6]]],
  ] as const)(
    "then answers one element for the whole request: matrices %s",
    async (_, a, [b], y) => {
      const server = await serving({ "model.onnx": product });
      expect(await scores(server, { input: { a, b } })).toEqual(y);
    },
  );

  test("answers each row where the output has the name of one of them, and as many rows", async () => {
    const both = buildModel({
      nodes: [{ op: "Add", inputs: ["a", "b"], outputs: ["y"] }],
      inputs: [
        { name: "a", type: "float", dims: ["users", 2] },
        { name: "b", type: "float", dims: ["items", 2] },
      ],
      outputs: [{ name: "y", type: "float", dims: ["users", 2] }],
    });
    const server = await serving({ "model.onnx": both });
    const [a, b] = [
      [1, 2, 3, 4],
      [1, 0, 0, 1],
    ];
    const input = { a: [a.slice(0, 2), a.slice(2)], b: [b.slice(0, 2), b.slice(2)] };
    expect(await scores(server, { input })).toEqual([
      [2, 2],
      [3, 5],
    ]);
    const inputs = [tensor("a", "FP32", [2, 2], a), tensor("b", "FP32", [2, 2], b)];
    const outputs = [{ name: "y", parameters: { classification: 1 } }];
    expect((await infer(server, { inputs, outputs })).body).toMatchObject({
      outputs: [tensor("y", "BYTES", [2, 1], ["2:0", "5:1"])],
    });
  });
});

describe("a model whose output has another name for its rows, as exporters make them", () => {
  const model = modelOf(
    ["batch", 2],
    ["Softmaxoutput_dim_0", 2],
    [{ op: "Softmax", inputs: ["x"], outputs: ["y"] }],
  );
  const input = [
    [1, 1],
    [0, 0],
    [5, 5],
  ];

  test("answers each row, and runs a request whole", async () => {
    const server = await serving({ "model.onnx": model }, { MAX_BATCH_ROWS: "2" });
    const runs = await countRuns(server, async () => {
      expect(await scores(server, { input })).toEqual(input.map(() => [0.5, 0.5]));
    });
    expect(runs).toBe(1);
  });

  test("answers classes of labels", async () => {
    const server = await serving({ "model.onnx": model, "labels.txt": "a\nb\n" });
    expect(await scores(server, { input: input.slice(1) })).toEqual(
      [1, 2].map(() => [
        ["a", 50],
        ["b", 50],
      ]),
    );
  });

  test("runs in parts with BATCHING=on, where requests share runs", async () => {
    const server = await serving({ "model.onnx": model }, { BATCHING: "on", MAX_BATCH_ROWS: "2" });
    expect(await countRuns(server, async () => scores(server, { input }))).toBe(2);
    expect((await get(server, "/v2/models/model/config")).body).toMatchObject({
      max_batch_size: 2,
      input: [{ dims: [2] }],
    });
  });
});

describe("a model that gives as much as it finds", () => {
  const model = { "model.onnx": finder(["b", 4], ["dets", 2]) };

  test("answers all of it to one row", async () => {
    const server = await serving(model);
    expect(await scores(server, { input: [[1, 0, 0, 1]] })).toEqual([[0, 0, 0, 3]]);
    expect(await scores(server, { input: [[0, 0, 1, 0]] })).toEqual([[0, 2]]);
    expect(await scores(server, { input: [[0, 0, 0, 0]] })).toEqual([[]]);
  });

  test("gives its outputs as they are by the protocol", async () => {
    const server = await serving(model);
    expect(await infer(server, { inputs: [ones(2, 4)] })).toMatchObject({
      status: 200,
      body: { outputs: [{ name: "y", shape: [8, 2] }] },
    });
  });

  test.each([
    ["more than rows", [1, 1, 1, 0]],
    ["as much as rows, by accident", [1, 0, 0, 0]],
  ])("rejects several rows with the path that serves them: %s", async (_, row) => {
    const server = await serving(model, { MODEL_NAME: "boxes" });
    expect(await score(server, { input: [row, row] })).toEqual({
      status: 400,
      body: {
        error:
          "the model's output y has no row for each of the 2 rows, so that their answers cannot be separated: send one row, or get the whole output from POST /v2/models/boxes/infer",
      },
    });
  });

  test("does not cut a large request in parts, even where BATCHING=on says that it has rows", async () => {
    const server = await serving(model, { BATCHING: "on", MAX_BATCH_ROWS: "2" });
    expect(await infer(server, { inputs: [ones(3, 4)] })).toMatchObject({
      status: 400,
      body: {
        error: expect.stringMatching(
          /^the model gave 8 rows of y for 2 rows of input, .*: send at most 2 rows at once$/,
        ),
      },
    });
  });
});

describe("a model that answers one element for the request", () => {
  test("has a class for each of its values", async () => {
    const squeezed = modelOf(
      [1, 3],
      [3],
      [
        { op: "Squeeze", inputs: ["x"], outputs: ["s"] },
        { op: "Softmax", inputs: ["s"], outputs: ["y"] },
      ],
    );
    const server = await serving({ "model.onnx": squeezed, "labels.txt": "a\nb\nc\n" });
    const [classes] = (await scores(server, { input: [[0, 0, 0]] })) as [string, number][][];
    expect(classes?.map(([label]) => label)).toEqual(["a", "b", "c"]);
    const wanted = { name: "y", parameters: { classification: 1 } };
    expect((await infer(server, { inputs: [ones(1, 3)], outputs: [wanted] })).body).toMatchObject({
      outputs: [tensor("y", "BYTES", [1], ["0.33333334:0:a"])],
    });
  });

  test("has one also where only a run shows that the first dimension is no row", async () => {
    const model = modelOf(
      ["batch", 3],
      ["classes"],
      [
        { op: "ReduceMean", inputs: ["x"], outputs: ["m"], integers: { axes: [0], keepdims: 0 } },
        { op: "Softmax", inputs: ["m"], outputs: ["y"] },
      ],
    );
    const server = await serving({ "model.onnx": model, "labels.txt": "a\nb\nc\n" });
    const [classes] = (await scores(server, { input: [[0, 5, 0]] })) as [string, number][][];
    expect(classes?.[0]?.[0]).toBe("b");
  });
});
