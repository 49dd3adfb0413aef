import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, onTestFinished, test } from "vitest";

import { buildModel, type ModelSpec } from "../onnx/build.testing.ts";
import { recordSamples } from "./check.ts";

const never = new AbortController().signal;

/** The samples that a bundle of nothing but this model gets. */
async function samplesOf(model: ModelSpec, environment: NodeJS.ProcessEnv = {}): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), "aiapp-check-"));
  onTestFinished(async () => rm(folder, { recursive: true }));
  await writeFile(join(folder, "model.onnx"), buildModel(model));
  const samples: unknown[] = [];
  await recordSamples(
    folder,
    environment,
    (event) => {
      if (event.kind === "sample") samples.push(event.recorded);
    },
    never,
  );
  return samples;
}

const identity = (dims: readonly (number | string)[]): ModelSpec => ({
  nodes: [{ op: "Identity", inputs: ["x"], outputs: ["y"] }],
  inputs: [{ name: "x", type: "float", dims }],
  outputs: [{ name: "y", type: "float", dims }],
});

test.each([
  ["one row of a batch", ["batch", 2], {}, [[0, 0.1]], [[0, 0.1]]],
  ["one row of a fixed batch", [3, 2], {}, [[0, 0.1]], [[0, 0.1]]],
  ["the exact shape of a vector", [3], {}, [0, 0.1, 0.2], [[0, 0.1, 0.2]]],
  ["the exact shape with BATCHING=off", [2, 1], { BATCHING: "off" }, [[0], [0.1]], [[0], [0.1]]],
])("a bundle without samples gets %s", async (_, dims, environment, input, expected) => {
  const close = expected.map((row) => row.map((value) => expect.closeTo(value, 6)));
  expect(await samplesOf(identity(dims), environment)).toEqual([
    { request: { input }, expected: close },
  ]);
});

test("a detector gets a sample of all that it finds", async () => {
  const model: ModelSpec = {
    nodes: [
      { op: "NonZero", inputs: ["x"], outputs: ["i"] },
      { op: "Transpose", inputs: ["i"], outputs: ["y"] },
    ],
    inputs: [{ name: "x", type: "float", dims: ["b", 4] }],
    outputs: [{ name: "y", type: "int64", dims: ["dets", 2] }],
  };
  expect(await samplesOf(model)).toEqual([
    { request: { input: [[0, 0.1, 0.2, 0.3]] }, expected: [[0, 1, 0, 2, 0, 3]] },
  ]);
});
