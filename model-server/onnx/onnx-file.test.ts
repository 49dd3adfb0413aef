import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { buildModel, type ModelSpec } from "./build.testing.ts";
import { readOnnxFile, type OnnxFile } from "./onnx-file.ts";
import { applyPatches } from "./patch.ts";
import { bytesField, textField } from "./wire.ts";

const fixtures = join(import.meta.dirname, "..", "fixtures");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "aiapp-onnx-"));
});
afterAll(async () => rm(folder, { recursive: true }));

async function read(bytes: Uint8Array): Promise<OnnxFile> {
  const file = join(folder, "model.onnx");
  await writeFile(file, bytes);
  return readOnnxFile(file);
}

const CLASSES = ["cat", "dog"];
const zipMap = (opsets: Record<string, number>): ModelSpec => ({
  opsets,
  nodes: [
    { op: "Normalizer", domain: "ai.onnx.ml", inputs: ["x"], outputs: ["p"] },
    {
      op: "ZipMap",
      domain: "ai.onnx.ml",
      inputs: ["p"],
      outputs: ["y"],
      texts: { classlabels_strings: CLASSES },
    },
  ],
  inputs: [{ name: "x", type: "float", dims: ["rows", 2] }],
  outputs: [{ name: "y", type: "map", dims: ["rows", 2] }],
});

describe("a model with a ZipMap", () => {
  test("is read with its classes, and becomes one without", async () => {
    const bytes = buildModel(zipMap({ "": 13, "ai.onnx.ml": 1 }));
    const model = await read(bytes);
    expect(model.labels).toEqual(new Map([["y", CLASSES]]));
    expect(model.producers).toEqual(new Map([["y", "ZipMap"]]));
    const expected = buildModel({
      opsets: { "": 13, "ai.onnx.ml": 1 },
      nodes: [
        { op: "Normalizer", domain: "ai.onnx.ml", inputs: ["x"], outputs: ["p"] },
        { op: "Identity", inputs: ["p"], outputs: ["y"] },
      ],
      inputs: [{ name: "x", type: "float", dims: ["rows", 2] }],
      outputs: [{ name: "y", type: "float", dims: ["rows", 2] }],
    });
    expect(Buffer.from(applyPatches(bytes, model.patches))).toEqual(expected);
    const again = await read(expected);
    expect([again.patches, again.producers]).toEqual([[], new Map([["y", "Normalizer"]])]);
  });
});

describe("a model without one", () => {
  test("stays as it is, and its external files are named", async () => {
    const weight = { dims: [1], data: [1] };
    const model = await read(
      buildModel({
        nodes: [
          { op: "Softmax", inputs: ["x"], outputs: ["s"] },
          { op: "Flatten", inputs: ["s"], outputs: ["y"] },
        ],
        inputs: [{ name: "x", type: "float", dims: ["N", 2] }],
        outputs: [{ name: "y", type: "float", dims: ["N", 2] }],
        weights: [
          { ...weight, name: "a", file: "a.bin" },
          { ...weight, name: "b" },
          { ...weight, name: "c", file: "a.bin" },
        ],
      }),
    );
    expect(model).toMatchObject({
      patches: [],
      external: ["a.bin"],
      labels: new Map(),
      producers: new Map([["y", "Softmax"]]),
    });
  });
});

describe("what a run takes", () => {
  const spec = (op: string, domain?: string): ModelSpec => ({
    nodes: [
      { op: "Relu", inputs: ["x"], outputs: ["h"] },
      { op, ...(domain !== undefined && { domain }), inputs: ["h"], outputs: ["y"] },
    ],
    inputs: [{ name: "x", type: "float", dims: ["N", 2] }],
    outputs: [{ name: "y", type: "float", dims: ["N", 2] }],
  });

  test.each<[string, string?]>([
    ["Gemm"],
    ["Conv", "ai.onnx"],
    ["TreeEnsembleClassifier", "ai.onnx.ml"],
  ])("follows from its shapes with standard operators (%s %s)", async (op, domain) => {
    expect(await read(buildModel(spec(op, domain)))).toMatchObject({ isTimedByShapes: true });
  });

  test.each<[string, string?]>([
    ["Loop"],
    ["If"],
    ["Scan", "ai.onnx"],
    ["BeamSearch", "com.microsoft"],
  ])("may follow from values with loops and operators of others (%s %s)", async (op, domain) => {
    expect(await read(buildModel(spec(op, domain)))).toMatchObject({ isTimedByShapes: false });
  });

  test("may follow from values with functions of the model's own", async () => {
    const functions = bytesField(25, textField(1, "Repeat"));
    const model = Buffer.concat([buildModel(spec("Gemm")), functions]);
    expect(await read(model)).toMatchObject({ isTimedByShapes: false });
  });
});

describe("whatever bytes a file has", () => {
  test("it is read in part or not at all, and never fails", async () => {
    const models = await Promise.all(
      ["numbers", "text", "table"].map((name) => readFile(join(fixtures, `${name}.onnx`))),
    );
    const change = fc.record({
      model: fc.constantFrom(...models),
      at: fc.nat(),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }),
      cut: fc.boolean(),
    });
    const outcomes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(change, async ({ model, at, bytes, cut }) => {
        const changed = Buffer.from(model);
        const place = at % model.length;
        changed.set(bytes.subarray(0, model.length - place), place);
        const { producers } = await read(cut ? changed.subarray(0, place) : changed);
        outcomes.add(producers.size === 0 ? "nothing" : "read");
      }),
      { numRuns: 1000 },
    );
    expect(outcomes).toEqual(new Set(["nothing", "read"]));
  });
});
