import { randomOf } from "../../operator/random.testing.ts";
import { mkdir, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { buildModel, type ModelSpec } from "../../model-server/onnx/build.testing.ts";
import { cacheFolder } from "../../test/cluster/layout.ts";

/** Models of known sizes with random weights, written at the first use: into the cache folder, never into the repository. */

/** Their files are named after it: raise it with every change of what is written. */
const VERSION = 1;
const CLASSES = 1000;

export interface BenchModel {
  /** A folder with `model.onnx`, and what the server needs of a bundle beside it. */
  readonly folder: string;
  readonly file: string;
  readonly shape: readonly number[];
}

type Node = ModelSpec["nodes"][number];
type Weight = NonNullable<ModelSpec["weights"]>[number];

/** 64 → 4 × 512 → 10 with ReLU between: 1.65 MFLOP. */
export function mlp(): Promise<BenchModel> {
  const graph = new Graph();
  let value = "x";
  const sizes = [64, 512, 512, 512, 512, 10];
  for (const [index, size] of sizes.entries()) {
    const next = sizes[index + 1];
    if (next === undefined) break;
    value = graph.dense(value, size, next, index + 2 === sizes.length ? "y" : undefined);
    if (value !== "y") value = graph.relu(value);
  }
  return cached("mlp", graph, { shape: [64], outputs: [10], files: {} });
}

/** 64 → layers × 2048 → 10 with ReLU between: 16.8 MB a layer. */
export function dense(layers: number): Promise<BenchModel> {
  const graph = new Graph();
  let value = graph.relu(graph.dense("x", 64, 2048));
  for (let layer = 0; layer < layers; layer += 1)
    value = graph.relu(graph.dense(value, 2048, 2048));
  graph.dense(value, 2048, 10, "y");
  return cached(`dense-${layers}`, graph, { shape: [64], outputs: [10], files: {} });
}

/** As large as ResNet-50, and of its layers, the batch normalisations folded into the convolutions: 8.2 GFLOP, 102 MB. */
export function cnn(): Promise<BenchModel> {
  const graph = new Graph();
  let value = graph.relu(graph.convolution("x", { from: 3, to: 64, kernel: 7, stride: 2 }));
  value = graph.node("MaxPool", [value], {
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  });
  let channels = 64;
  for (const [stage, blocks] of [3, 4, 6, 3].entries()) {
    for (let block = 0; block < blocks; block += 1) {
      const inner = 64 * 2 ** stage;
      const outer = 4 * inner;
      const stride = block === 0 && stage > 0 ? 2 : 1;
      const skip =
        block > 0
          ? value
          : graph.convolution(value, { from: channels, to: outer, kernel: 1, stride });
      let main = graph.relu(graph.convolution(value, { from: channels, to: inner, kernel: 1 }));
      main = graph.relu(graph.convolution(main, { from: inner, to: inner, kernel: 3, stride }));
      // Small, so that the sums of sixteen blocks stay numbers.
      main = graph.convolution(main, { from: inner, to: outer, kernel: 1, gain: 0.2 });
      value = graph.relu(graph.node("Add", [skip, main]));
      channels = outer;
    }
  }
  value = graph.node("Flatten", [graph.node("GlobalAveragePool", [value])]);
  graph.dense(value, channels, CLASSES, "y");
  const files = {
    "preprocessing.json": JSON.stringify({
      width: 224,
      height: 224,
      resize: 256,
      kernel: "linear",
    }),
    "labels.txt": Array.from({ length: CLASSES }, (_, index) => `class ${index}`).join("\n"),
  };
  return cached("cnn", graph, { shape: [3, 224, 224], outputs: [CLASSES], files });
}

async function cached(
  name: string,
  graph: Graph,
  model: {
    readonly shape: readonly number[];
    readonly outputs: readonly number[];
    readonly files: Readonly<Record<string, string>>;
  },
): Promise<BenchModel> {
  const { shape, outputs, files } = model;
  const folder = join(cacheFolder(process.env), "models", `${name}-${VERSION}`);
  const file = join(folder, "model.onnx");
  const result = { folder, file, shape };
  if (await stat(file).catch(() => undefined)) return result;
  await mkdir(folder, { recursive: true });
  for (const [path, text] of Object.entries(files)) await writeFile(join(folder, path), text);
  const draft = `${file}.${process.pid}`;
  const bytes = buildModel({
    nodes: graph.nodes,
    inputs: [{ name: "x", type: "float", dims: ["N", ...shape] }],
    outputs: [{ name: "y", type: "float", dims: ["N", ...outputs] }],
    weights: graph.weights(),
  });
  await writeFile(draft, bytes);
  await rename(draft, file);
  return result;
}

interface Convolution {
  readonly from: number;
  readonly to: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly gain?: number;
}

/** Layers, and the weights that they need; those are made only when the model is written. */
class Graph {
  readonly nodes: Node[] = [];
  readonly #weights: (() => Weight)[] = [];
  readonly #random = randomOf(1);

  node(
    op: string,
    inputs: readonly string[],
    integers: Node["integers"] = {},
    output?: string,
  ): string {
    const name = output ?? `v${this.nodes.length}`;
    this.nodes.push({ op, inputs, outputs: [name], integers });
    return name;
  }

  relu(input: string): string {
    return this.node("Relu", [input]);
  }

  convolution(input: string, { from, to, kernel, stride = 1, gain = 1 }: Convolution): string {
    const weight = this.#weight([to, from, kernel, kernel], from * kernel * kernel, gain);
    const pad = kernel >> 1;
    return this.node("Conv", [input, weight, this.#weight([to], 100, gain)], {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
    });
  }

  dense(input: string, from: number, to: number, output?: string): string {
    const weight = this.#weight([to, from], from, 1);
    return this.node("Gemm", [input, weight, this.#weight([to], 100, 1)], { transB: 1 }, output);
  }

  weights(): readonly Weight[] {
    return this.#weights.map((make) => make());
  }

  /** Uniform, with the variance that keeps the size of values from layer to layer (He et al., 2015). */
  #weight(dims: readonly number[], inputs: number, gain: number): string {
    const name = `w${this.#weights.length}`;
    const bound = gain * Math.sqrt(6 / inputs);
    this.#weights.push(() => {
      const count = dims.reduce((product, dim) => product * dim, 1);
      const data = new Float32Array(count);
      for (let at = 0; at < count; at += 1) data[at] = (2 * this.#random() - 1) * bound;
      return { name, dims, data };
    });
    return name;
  }
}
