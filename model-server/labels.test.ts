import { describe, expect, test } from "vitest";

import { infer, serving, tensor } from "./infer.testing.ts";
import { buildModel } from "./onnx/build.testing.ts";
import { zipMapOf } from "./onnx/models.testing.ts";
import { score, scores, type BundleFiles } from "./serve.testing.ts";

/** Labels beside outputs that have not one value for each of them. */

/** A model of one operator and one column. */
function column(
  op: string,
  more: BundleFiles,
  dims: readonly (number | string)[] = ["N", 1],
): BundleFiles {
  return {
    "model.onnx": buildModel({
      nodes: [{ op, inputs: ["x"], outputs: ["y"] }],
      inputs: [{ name: "x", type: "float", dims }],
      outputs: [{ name: "y", type: "float", dims }],
    }),
    "labels.txt": "no\nyes\n",
    ...more,
  };
}

describe("one value with two labels is the probability of the second", () => {
  const expected = [
    [
      ["yes", 88.0797],
      ["no", 11.9203],
    ],
    [
      ["no", 50],
      ["yes", 50],
    ],
  ];

  test.each([
    ["of a sigmoid", "Sigmoid", {}],
    ["of what becomes one", "Identity", { "postprocessing.json": { activation: "sigmoid" } }],
  ])("%s", async (_, op, more) => {
    const server = await serving(column(op, more));
    expect(await scores(server, { input: [[2], [0]] })).toEqual(expected);
  });

  test("of a number for each row", async () => {
    const server = await serving(column("Sigmoid", {}, ["N"]));
    expect(await scores(server, { input: [2, 0] })).toEqual(expected);
  });

  test("unless it is no probability, which says what to set", async () => {
    const server = await serving(
      column("Identity", { "postprocessing.json": { activation: "none" } }),
    );
    expect(await score(server, { input: [[2]] })).toEqual({
      status: 500,
      body: {
        error:
          'the model gave 2, which is no probability of the second of two labels: set "activation" in postprocessing.json, such as sigmoid',
      },
    });
  });

  test("and has no label in a classification of the protocol, whose values are those of the model", async () => {
    const server = await serving(column("Sigmoid", {}));
    const outputs = [{ name: "y", parameters: { classification: 2 } }];
    const inputs = [tensor("x", "FP32", [1, 1], [0])];
    expect((await infer(server, { inputs, outputs })).body).toMatchObject({
      outputs: [tensor("y", "BYTES", [1, 1], ["0.5:0"])],
    });
  });
});

test("classes that the model itself names are left out where its answers have no row of them", async () => {
  const model = buildModel({
    opsets: { "": 13, "ai.onnx.ml": 1 },
    nodes: [
      { op: "NonZero", inputs: ["x"], outputs: ["i"] },
      { op: "Transpose", inputs: ["i"], outputs: ["t"] },
      { op: "Cast", inputs: ["t"], outputs: ["f"], integers: { to: 1 } },
      zipMapOf("f"),
    ],
    inputs: [{ name: "x", type: "float", dims: ["N", 4] }],
    outputs: [{ name: "y", type: "map", dims: [] }],
  });
  const server = await serving({ "model.onnx": model });
  expect(await scores(server, { input: [[1, 0, 0, 1]] })).toEqual([[0, 0, 0, 3]]);
});
