import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { call, connectTo, inference } from "./grpc/client.testing.ts";
import { get, identity, infer, inferRaw, serving, tensor } from "./infer.testing.ts";
import { buildModel, type ModelSpec } from "./onnx/build.testing.ts";
import { copyOf, fixtures, score, type BundleFiles } from "./serve.testing.ts";
import type { Server } from "./server.ts";

/** Requests whose inputs have no rows: what is sent for a picture on which nothing was found. */

type Dims = ModelSpec["inputs"][number]["dims"];

/** A model of one input `x` and one output `y`. */
function modelOf(op: string, input: Dims, output: Dims): BundleFiles {
  return {
    "model.onnx": buildModel({
      nodes: [{ op, inputs: ["x"], outputs: ["y"] }],
      inputs: [{ name: "x", type: "float", dims: input }],
      outputs: [{ name: "y", type: "float", dims: output }],
    }),
  };
}

const floatsOf = (shape: readonly number[], data: readonly number[] = []): object => ({
  inputs: [tensor("x", "FP32", shape, data)],
});

async function runsOf(server: Server): Promise<number | undefined> {
  const { body } = await get(server, "/v2/models/model/stats");
  const { model_stats: stats } = body as { model_stats: { execution_count: number }[] };
  return stats[0]?.execution_count;
}

describe("a request of no rows", () => {
  test.each([
    ["float", "FP32"],
    ["half", "FP16"],
    ["int64", "INT64"],
    ["bool", "BOOL"],
    ["string", "BYTES"],
  ] as const)("gets outputs of no rows, without a run: %s", async (type, datatype) => {
    const server = await serving(identity(type));
    const before = await runsOf(server);
    const answer = await infer(server, { inputs: [tensor("x", datatype, [0, 2], [])] });
    expect(answer).toMatchObject({
      status: 200,
      body: { outputs: [tensor("y", datatype, [0, 2], [])] },
    });
    expect(await runsOf(server)).toBe(before);
  });

  test("gets outputs of no bytes by the binary extension", async () => {
    const server = await serving(identity("float"));
    const parameters = { binary_data_size: 0 };
    const answer = await inferRaw(server, {
      inputs: [{ name: "x", datatype: "FP32", shape: [0, 2], parameters }],
      parameters: { binary_data_output: true },
    });
    expect(answer).toMatchObject({
      status: 200,
      body: { outputs: [{ name: "y", datatype: "FP32", shape: [0, 2], parameters }] },
      bytes: Buffer.alloc(0),
    });
    expect(answer.headers.get("inference-header-content-length")).not.toBe(null);
  });

  test.each([
    ["typed contents", {}],
    ["raw contents", { raw_input_contents: [Buffer.alloc(0)] }],
  ])("gets outputs of no rows over gRPC: %s", async (_, raw) => {
    const server = await serving(identity("float"), { GRPC_PORT: "0" });
    const inputs = [{ name: "x", datatype: "FP32", shape: [0, 2] }];
    const message = { model_name: "model", inputs, ...raw };
    expect((await call(connectTo(server), inference, "ModelInfer", message)).answer).toMatchObject({
      outputs: [{ name: "y", datatype: "FP32", shape: ["0", "2"] }],
      raw_output_contents: [Buffer.alloc(0)],
    });
  });

  test("gets only the outputs that it names", async () => {
    const server = await serving({ "model.onnx": copyOf(join(fixtures, "table.onnx")) });
    const answer = await infer(server, {
      inputs: [
        tensor("job", "BYTES", [0, 1], []),
        tensor("height", "FP32", [0, 1], []),
        tensor("age", "INT64", [0, 1], []),
      ],
      outputs: [{ name: "output_probability" }],
    });
    expect(answer).toMatchObject({
      status: 200,
      body: { outputs: [tensor("output_probability", "FP32", [0, 2], [])] },
    });
  });

  test("gets no classes where it asks for them", async () => {
    const server = await serving(identity("float", ["N", 3]));
    const outputs = [{ name: "y", parameters: { classification: 2 } }];
    expect((await infer(server, { ...floatsOf([0, 3]), outputs })).body).toMatchObject({
      outputs: [tensor("y", "BYTES", [0, 2], [])],
    });
  });

  test("is served by a model of a fixed batch, which runs any number of rows", async () => {
    const server = await serving(modelOf("Identity", [4, 2], [4, 2]));
    expect((await infer(server, floatsOf([0, 2]))).body).toMatchObject({
      outputs: [tensor("y", "FP32", [0, 2], [])],
    });
  });

  test("does not reach an operator that divides by the number of rows and ends the process", async () => {
    const server = await serving({
      "model.onnx": buildModel({
        opsets: { "": 9 },
        nodes: [{ op: "TopK", inputs: ["x"], outputs: ["y", "i"], integers: { k: 1 } }],
        inputs: [{ name: "x", type: "float", dims: ["N", 3] }],
        outputs: [
          { name: "y", type: "float", dims: ["N", 1] },
          { name: "i", type: "int64", dims: ["N", 1] },
        ],
      }),
    });
    expect(await infer(server, floatsOf([0, 3]))).toMatchObject({ status: 200 });
    expect((await infer(server, floatsOf([1, 3], [1, 3, 2]))).body).toMatchObject({
      outputs: [{ data: [3] }, { data: [1] }],
    });
  });
});

describe("a request of no elements is refused", () => {
  test.each<[string, BundleFiles, readonly number[], string]>([
    [
      "where its rows have none",
      modelOf("Identity", ["N", "M"], ["N", "M"]),
      [2, 0],
      'the input "x" has the shape [2, 0]: every row needs values',
    ],
    [
      "where neither rows nor values are there",
      modelOf("ReduceMax", ["N", "M"], [1, 1]),
      [0, 0],
      'the input "x" has the shape [0, 0]: the model has no batch, so that every size must be at least 1',
    ],
    [
      "where the first dimension counts no rows",
      modelOf("ReduceMax", ["N", 3], [1, 1]),
      [0, 3],
      'the input "x" has the shape [0, 3]: the model has no batch, so that every size must be at least 1',
    ],
    [
      "where only a run shows how many values a row of the answer has",
      modelOf("Identity", ["N", "M"], ["N", "M"]),
      [0, 3],
      'only a run shows the shape of the output "y": send at least one row',
    ],
    [
      "where other sizes are not the model's",
      modelOf("Identity", ["N", 2], ["N", 2]),
      [0, 3],
      'the input "x" has the shape [0, 3], the model takes [any, 2]',
    ],
  ])("%s", async (_, files, shape, error) => {
    const server = await serving(files);
    expect(await infer(server, floatsOf(shape))).toMatchObject({ status: 400, body: { error } });
  });

  test("by POST /score, whose arrays of nothing have no shape", async () => {
    const server = await serving(identity("float", ["N"]));
    expect(await score(server, { input: { x: [] } })).toMatchObject({
      status: 400,
      body: { error: "input.x has no rows: send at least one" },
    });
    expect(await score(server, { input: [] })).toMatchObject({ status: 400 });
  });
});
