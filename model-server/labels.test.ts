import { expect, test } from "vitest";

import { serving } from "./infer.testing.ts";
import { buildModel } from "./onnx/build.testing.ts";
import { scores } from "./serve.testing.ts";

/** Labels beside outputs that have not one value for each of them. */

test("classes that the model itself names are left out where its answers have no row of them", async () => {
  const model = buildModel({
    opsets: { "": 13, "ai.onnx.ml": 1 },
    nodes: [
      { op: "NonZero", inputs: ["x"], outputs: ["i"] },
      { op: "Transpose", inputs: ["i"], outputs: ["t"] },
      { op: "Cast", inputs: ["t"], outputs: ["f"], integers: { to: 1 } },
      {
        op: "ZipMap",
        domain: "ai.onnx.ml",
        inputs: ["f"],
        outputs: ["y"],
        integers: { classlabels_int64s: [7, 300] },
      },
    ],
    inputs: [{ name: "x", type: "float", dims: ["N", 4] }],
    outputs: [{ name: "y", type: "map", dims: [] }],
  });
  const server = await serving({ "model.onnx": model });
  expect(await scores(server, { input: [[1, 0, 0, 1]] })).toEqual([[0, 0, 0, 3]]);
});
