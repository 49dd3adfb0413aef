import { buildModel, type ModelSpec } from "./build.testing.ts";

/** Models that several tests need. */

/** Rejects a divisor of 0. */
export const QUOTIENT = buildModel({
  nodes: [{ op: "Div", inputs: ["a", "b"], outputs: ["y"] }],
  inputs: ["a", "b"].map((name) => ({ name, type: "int64", dims: ["batch", 2] })),
  outputs: [{ name: "y", type: "int64", dims: ["batch", 2] }],
});

/** Rejects a shape of another number of elements than four: [0, 0] and [1, 1] as well. */
export const RESHAPE = buildModel({
  nodes: [{ op: "Reshape", inputs: ["x", "shape"], outputs: ["y"] }],
  inputs: [
    { name: "x", type: "float", dims: [4] },
    { name: "shape", type: "int64", dims: [2] },
  ],
  outputs: [{ name: "y", type: "float", dims: ["a", "b"] }],
});

/** The last node of a classifier of scikit-learn with the classes 7 and 300: makes maps `y` of its input. */
export function zipMapOf(input: string): ModelSpec["nodes"][number] {
  return {
    op: "ZipMap",
    domain: "ai.onnx.ml",
    inputs: [input],
    outputs: ["y"],
    integers: { classlabels_int64s: [7, 300] },
  };
}
