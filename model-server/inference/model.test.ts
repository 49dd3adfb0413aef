import { describe, expect, test } from "vitest";

import type { Sample } from "../bundle/samples.ts";
import type { Engine } from "../engine/engine.ts";
import { ServerError } from "../errors.ts";
import { createDecoder } from "../images/decoder.ts";
import { noOnnx } from "../onnx/build.testing.ts";
import { createModel, type Model } from "./model.ts";
import { checkSamples } from "./samples.ts";

const never = new AbortController().signal;
const LABELS = ["cat", "dog", "owl"];

/** A model of one number a row that answers these rows, whatever its input; zeros where no more are given. */
function modelOf(answers: readonly (readonly number[])[], labels?: readonly string[]): Model {
  const classes = answers[0]?.length ?? 0;
  const engine: Engine = {
    signature: {
      inputs: [{ name: "input", datatype: "FP32", dims: [undefined, 1] }],
      outputs: [{ name: "output", datatype: "FP32", dims: [undefined, classes], rows: "each" }],
      batch: { kind: "free" },
    },
    run: async (inputs) => {
      const [rows = 0] = inputs.get("input")?.dims ?? [];
      const data = new Float32Array(rows * classes);
      data.set(answers.slice(0, rows).flat());
      return new Map([["output", { datatype: "FP32", dims: [rows, classes], data }]]);
    },
    perWorker: [],
    state: () => "ready",
    waiting: () => 0,
    close: async () => {},
  };
  return createModel({
    name: "model",
    engine,
    bundle: {
      model: noOnnx(""),
      labels,
      preprocessing: undefined,
      postprocessing: undefined,
      samples: [],
    },
    decoder: createDecoder({ concurrency: 1, maxWaiting: 1 }),
    limits: { rows: 64, bytes: 2 ** 20 },
  });
}

async function score(model: Model, rows = 1): Promise<unknown> {
  const tensor = { datatype: "FP32", data: new Float32Array(rows), dims: [rows, 1] } as const;
  return model.score({ kind: "tensor", tensor }, 3, never);
}

async function refusal(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "answered",
    (error: unknown) => error,
  );
}

describe("outputs that are no numbers", () => {
  test.each([
    ["NaN", [NaN, 1, 2]],
    ["Infinity", [0, Infinity, 2]],
    ["-Infinity", [0, 1, -Infinity]],
  ])("are refused where the answer is the outputs themselves: %s", async (what, output) => {
    expect(await refusal(score(modelOf([[1, 2, 3], output]), 2))).toMatchObject({
      code: "REQUEST_INVALID",
      message: `the model's answer to input[1] is not a number (${what}): check whether it is in the range that the model was trained on`,
    });
  });

  test.each([
    ["NaN", [NaN, 1, 2]],
    ["Infinity", [0, Infinity, 2]],
    ["-Infinity everywhere", [-Infinity, -Infinity, -Infinity]],
  ])("are refused where they would be percentages: %s", async (_, output) => {
    expect(await refusal(score(modelOf([output], LABELS)))).toMatchObject({
      code: "REQUEST_INVALID",
      message: expect.stringMatching(/^the model's answer to input\[0\] is not a number \(NaN\)/),
    });
  });

  test("but mask a class are its 0 percent", async () => {
    expect(await score(modelOf([[0, -Infinity, 0]], LABELS))).toEqual([
      [
        ["cat", 50],
        ["owl", 50],
        ["dog", 0],
      ],
    ]);
  });
});

describe("outputs of classes", () => {
  const percents = async (output: readonly number[]): Promise<unknown> => {
    const [row = []] = (await score(modelOf([output], LABELS))) as [string, number][][];
    return row.map(([, percent]) => percent);
  };

  test.each([
    ["exactly", [0.5, 0.375, 0.125], [50, 37.5, 12.5]],
    ["nearly, as quantised ones do", [0.87109375, 0.0625, 0.0625], [87.1094, 6.25, 6.25]],
    ["a little more", [0.75, 0.25, 0.03125], [75, 25, 3.125]],
  ])("that sum to one are probabilities already: %s", async (_, output, expected) => {
    expect(await percents(output)).toEqual(expected);
  });

  test.each([
    ["too little", [0.5, 0.25, 0.125]],
    ["too much", [0.75, 0.25, 0.125]],
    ["to one, but with one below zero", [1.25, -0.5, 0.25]],
    ["to one, but with one above it", [1.02, 0, 0]],
  ])("that sum %s get a softmax", async (_, output) => {
    const powers = output.map((value) => Math.exp(value));
    const sum = powers.reduce((total, value) => total + value);
    const expected = powers.map((value) => (100 * value) / sum).toSorted((a, b) => b - a);
    expect(await percents(output)).toEqual(expected.map((value) => expect.closeTo(value, 3)));
  });
});

describe("a sample whose request cannot be scored", () => {
  const sample: Sample = {
    name: "samples/7.json",
    request: { input: [[1]] },
    expected: [],
    tolerance: 0,
  };

  test.each([
    [
      "has another shape",
      { input: [[1, 2]] },
      "input has the shape [1, 2], the model takes [any, 1]",
    ],
    ["is not understood", { inputs: [] }, "the body is not a valid request: send "],
    ["is an image", { input: ["aGk="] }, "this model takes numbers of shape [any, 1], not images"],
  ])("ends the start by the name of its file: it %s", async (_, request, message) => {
    const model = modelOf([[1, 2, 3]]);
    expect(await refusal(checkSamples(model, [{ ...sample, request }], never))).toMatchObject({
      code: "BUNDLE_INVALID",
      message: expect.stringContaining(
        `the request of samples/7.json cannot be scored: ${message}`,
      ),
      cause: expect.any(ServerError),
    });
  });
});

describe("a sample whose answer is a large number", () => {
  const sample: Sample = {
    name: "samples/1.json",
    request: { input: [[1]] },
    expected: [[250_000.5]],
    tolerance: 0.01,
  };

  test("passes where another CPU rounds it otherwise", async () => {
    const checked = checkSamples(modelOf([[250_000.53]]), [sample], never);
    await expect(checked).resolves.toBeUndefined();
  });

  test("ends the start where the difference is more than that", async () => {
    expect(await refusal(checkSamples(modelOf([[250_030.5]]), [sample], never))).toMatchObject({
      code: "SAMPLE_MISMATCH",
      message: expect.stringContaining("answer[0][0] is 250030.5, not 250000.5"),
    });
  });
});
