import { buildModel } from "./onnx/build.testing.ts";
import type { BundleFiles } from "./serve.testing.ts";

/** Bundles that take images; tensors of a number, an integer and a text; and integers on which runs fail. */
export const targets = {
  images: {
    "model.onnx": buildModel({
      nodes: [{ op: "GlobalAveragePool", inputs: ["x"], outputs: ["y"] }],
      inputs: [{ name: "x", type: "float", dims: ["N", 3, 16, 16] }],
      outputs: [{ name: "y", type: "float", dims: ["N", 3, 1, 1] }],
    }),
    "preprocessing.json": { width: 16, height: 16, kernel: "linear" },
  },
  tensors: {
    "model.onnx": buildModel({
      nodes: ["a", "b", "c"].map((name) => ({
        op: "Identity",
        inputs: [name],
        outputs: [`${name}_out`],
      })),
      inputs: [
        { name: "a", type: "float", dims: ["N", 2] },
        { name: "b", type: "int64", dims: ["N", 1] },
        { name: "c", type: "string", dims: ["N", "M"] },
      ],
      outputs: [
        { name: "a_out", type: "float", dims: ["N", 2] },
        { name: "b_out", type: "int64", dims: ["N", 1] },
        { name: "c_out", type: "string", dims: ["N", "M"] },
      ],
    }),
  },
  integers: {
    "model.onnx": buildModel({
      nodes: [
        { op: "Div", inputs: ["a", "b"], outputs: ["quotient"] },
        { op: "Mod", inputs: ["a", "b"], outputs: ["rest"] },
        { op: "Gather", inputs: ["a", "b"], outputs: ["picked"] },
        { op: "Shape", inputs: ["b"], outputs: ["shape"] },
        { op: "Reshape", inputs: ["a", "shape"], outputs: ["reshaped"] },
      ],
      inputs: [
        { name: "a", type: "int64", dims: ["N", "K"] },
        { name: "b", type: "int64", dims: ["M", "L"] },
      ],
      outputs: [
        { name: "quotient", type: "int64", dims: ["Q", "R"] },
        { name: "rest", type: "int64", dims: ["S", "T"] },
        { name: "picked", type: "int64", dims: ["U", "V", "W"] },
        { name: "reshaped", type: "int64", dims: ["X", "Y"] },
      ],
    }),
  },
} as const satisfies Record<string, BundleFiles>;
export type FuzzTarget = keyof typeof targets;
