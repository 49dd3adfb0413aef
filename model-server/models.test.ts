import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { buildModel, type ModelSpec } from "./onnx/build.testing.ts";
import { zipMapOf } from "./onnx/models.testing.ts";
import {
  copyOf,
  fixtures,
  refusalOf,
  score,
  scores,
  serve,
  type BundleFiles,
} from "./serve.testing.ts";

interface Recorded {
  readonly inputs: Readonly<Record<string, readonly unknown[]>>;
  readonly outputs: {
    readonly output_probability: readonly Readonly<Record<string, number>>[];
    readonly probabilities: readonly (readonly number[])[];
    readonly variable: readonly (readonly number[])[];
  };
}

/** What onnxruntime for Python answered. */
async function recorded(name: string): Promise<Recorded> {
  return JSON.parse(await readFile(join(fixtures, `${name}.json`), "utf8")) as Recorded;
}

function fixture(name: string, files: BundleFiles = {}): BundleFiles {
  return { "model.onnx": copyOf(join(fixtures, `${name}.onnx`)), ...files };
}

/** An answer of `POST /score` for maps of classes to probabilities. */
function classesOf(maps: readonly Readonly<Record<string, number>>[]): unknown {
  return maps.map((map) =>
    Object.entries(map)
      .toSorted(([, a], [, b]) => b - a)
      .map(([label, probability]) => [label, expect.closeTo(100 * probability, 3)]),
  );
}

describe("a classifier of scikit-learn, whose output is a sequence of maps", () => {
  test.each([
    ["of numbers", "numbers"],
    ["of numbers, with a free number of columns", "free"],
    ["of text", "text"],
  ])("answers its own classes %s, as the runtime for Python does", async (_, name) => {
    const server = await serve(fixture(name));
    await server.loaded;
    const { inputs, outputs } = await recorded(name);
    expect(await scores(server, { input: inputs["X"] })).toEqual(
      classesOf(outputs.output_probability),
    );
  });

  test("answers the classes of labels.txt where there are some", async () => {
    const server = await serve(fixture("numbers", { "labels.txt": "a\nb\nc\n" }));
    await server.loaded;
    const { inputs } = await recorded("numbers");
    const [row] = await scores(server, { input: inputs["X"]?.slice(0, 1) });
    expect(row).toEqual([
      ["a", expect.any(Number)],
      ["b", expect.any(Number)],
      ["c", expect.any(Number)],
    ]);
  });

  test("fails the start with labels of another number", async () => {
    expect(await refusalOf(fixture("text", { "labels.txt": "a\nb\n" }))).toMatchObject({
      code: "BUNDLE_INVALID",
      message: "labels.txt has 2 lines, the model 3 classes",
    });
  });

  test("that imports no operators but those of ai.onnx.ml is served, too", async () => {
    const model = buildModel({
      opsets: { "ai.onnx.ml": 1 },
      nodes: [zipMapOf("x")],
      inputs: [{ name: "x", type: "float", dims: ["N", 2] }],
      outputs: [{ name: "y", type: "map", dims: [] }],
    });
    const server = await serve({ "model.onnx": model });
    await server.loaded;
    expect(await scores(server, { input: [[0.25, 0.75]] })).toEqual([
      [
        ["300", 75],
        ["7", 25],
      ],
    ]);
  });

  test("has its samples checked like any other", async () => {
    const { inputs, outputs } = await recorded("text");
    const [map = {}] = outputs.output_probability;
    const expected = [
      Object.entries(map)
        .map(([label, probability]) => [label, 100 * probability] as const)
        .toSorted(([, a], [, b]) => b - a),
    ];
    const sample = { request: { input: inputs["X"]?.slice(0, 1) }, expected };
    expect(await refusalOf(fixture("text", { "samples/1.json": sample }))).toBe("loaded");
    const wrong = { ...sample, expected: [[["setosa", 1]]] };
    expect(await refusalOf(fixture("text", { "samples/1.json": wrong }))).toMatchObject({
      code: "SAMPLE_MISMATCH",
    });
  });
});

describe("other models of scikit-learn", () => {
  test("exported without maps answer numbers, or the classes of labels.txt", async () => {
    const { inputs, outputs } = await recorded("tensors");
    const plain = await serve(fixture("tensors"));
    await plain.loaded;
    expect(await scores(plain, { input: inputs["X"] })).toEqual(
      outputs.probabilities.map((row) => row.map((value) => expect.closeTo(value, 5))),
    );
    const labelled = await serve(fixture("tensors", { "labels.txt": "0\n1\n2\n" }));
    await labelled.loaded;
    expect(await scores(labelled, { input: inputs["X"] })).toEqual(
      classesOf(outputs.probabilities.map((row) => Object.fromEntries(row.entries()))),
    );
  });

  test("that are no classifiers answer numbers", async () => {
    const { inputs, outputs } = await recorded("regression");
    const server = await serve(fixture("regression"));
    await server.loaded;
    expect(await scores(server, { input: inputs["X"] })).toEqual(
      outputs.variable.map((row) => row.map((value) => expect.closeTo(value, 5))),
    );
  });

  test("of text take it as it is", async () => {
    const { inputs, outputs } = await recorded("words");
    const server = await serve(fixture("words"));
    await server.loaded;
    expect(await scores(server, { input: inputs["job"] })).toEqual(
      classesOf(outputs.output_probability),
    );
  });

  test("of a table take each column by its name: text, floats and integers", async () => {
    const { inputs, outputs } = await recorded("table");
    const [map = {}] = outputs.output_probability;
    const expected = [
      [
        ["no", 100 * (map["no"] ?? 0)],
        ["yes", 100 * (map["yes"] ?? 0)],
      ],
    ];
    const first = Object.entries(inputs).map(([name, rows]) => [name, rows.slice(0, 1)] as const);
    const sample = { request: { input: Object.fromEntries(first) }, expected };
    const server = await serve(fixture("table", { "samples/1.json": sample }));
    await server.loaded;
    expect(await scores(server, { input: inputs })).toEqual(classesOf(outputs.output_probability));
  });

  test.each([
    ["without names", [[1]], /^the model has 3 inputs: send them by name, \{"input": \{"job": /],
    [
      "with one that is missing",
      { job: [["clerk"]], height: [[1]] },
      /^the input age is missing: the model takes it as INT64 of shape \[any, 1\]$/,
    ],
    [
      "with one that it has not",
      { jobs: [["clerk"]] },
      /^the model has no input "jobs": it takes job, height, age$/,
    ],
    [
      "of another shape",
      { job: [["a", "b"]], height: [[1]], age: [[1]] },
      /^input\.job has the shape \[1, 2\], the model takes \[any, 1\]$/,
    ],
    [
      "of another datatype",
      { job: [["a"]], height: [[1]], age: [[1.5]] },
      /^input\.age holds 1\.5, /,
    ],
    [
      "with rows of another number",
      { job: [["a"]], height: [[1]], age: [[1], [2]] },
      /^the inputs have 1 and 2 rows: every input needs as many$/,
    ],
    [
      "with no row",
      { job: [], height: [], age: [] },
      /^input\.job has no rows: send at least one$/,
    ],
    [
      "with a number in the place of rows",
      { job: 1, height: [[1]], age: [[1]] },
      /^input\.job must be an array/,
    ],
  ])("of a table reject a request %s", async (_, input, message) => {
    const server = await serve(fixture("table"));
    await server.loaded;
    expect(await score(server, { input })).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(message) },
    });
  });
});

describe("an image for a model of several inputs", () => {
  test("is answered with 400 and the form that is right", async () => {
    const server = await serve(fixture("table"));
    await server.loaded;
    const response = await fetch(`http://127.0.0.1:${server.port}/score`, {
      method: "POST",
      headers: { "content-type": "image/png" },
      body: Uint8Array.of(1),
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: expect.stringMatching(/^the model has 3 inputs, and images make only one: send /),
    });
  });
});

/** A model that gives its input back. */
function identity(
  type: ModelSpec["inputs"][number]["type"],
  dims: readonly (number | string)[] = ["N", 2],
): BundleFiles {
  return {
    "model.onnx": buildModel({
      nodes: [{ op: "Identity", inputs: ["x"], outputs: ["y"] }],
      inputs: [{ name: "x", type, dims }],
      outputs: [{ name: "y", type, dims }],
    }),
  };
}

describe("a model of each datatype", () => {
  test("of 64-bit integers keeps all digits, as text beyond 2^53", async () => {
    const server = await serve(identity("int64"));
    await server.loaded;
    const sent = [
      [1, "2"],
      ["9007199254740991", "-9007199254740993"],
      ["9223372036854775807", "-9223372036854775808"],
    ];
    expect(await scores(server, { input: sent })).toEqual([
      [1, 2],
      [9007199254740991, "-9007199254740993"],
      ["9223372036854775807", "-9223372036854775808"],
    ]);
  });

  test("of 64-bit integers takes text also where it is a row of its own", async () => {
    const server = await serve(identity("int64", ["N"]));
    await server.loaded;
    expect(await scores(server, { input: ["9007199254740993", 2] })).toEqual([
      ["9007199254740993"],
      [2],
    ]);
  });

  test.each([
    ["half", [[1.5, -0.25]], [[1.5, -0.25]]],
    ["double", [[0.1, 1e300]], [[0.1, 1e300]]],
    ["float", [[0.5, -0.25]], [[0.5, -0.25]]],
    ["int8", [[-128, 127]], [[-128, 127]]],
    ["uint8", [[0, 255]], [[0, 255]]],
    ["int16", [[-32768, 32767]], [[-32768, 32767]]],
    ["uint16", [[0, 65535]], [[0, 65535]]],
    ["int32", [[-2147483648, 2147483647]], [[-2147483648, 2147483647]]],
    ["uint32", [[0, 4294967295]], [[0, 4294967295]]],
    ["uint64", [["18446744073709551615", 1]], [["18446744073709551615", 1]]],
    ["bool", [[true, false]], [[1, 0]]],
    ["string", [["a", "ü"]], [["a", "ü"]]],
  ] as const)("of %s gives back what it was sent", async (type, input, expected) => {
    const server = await serve(identity(type));
    await server.loaded;
    expect(await scores(server, { input })).toEqual(expected);
  });
});

describe("a model without a batch", () => {
  test("answers one value, or one vector, for the whole request", async () => {
    const sum = buildModel({
      nodes: [{ op: "ReduceSum", inputs: ["x"], outputs: ["y"], integers: { keepdims: 0 } }],
      inputs: [{ name: "x", type: "float", dims: [3] }],
      outputs: [{ name: "y", type: "float", dims: [] }],
    });
    const server = await serve({ "model.onnx": sum });
    await server.loaded;
    expect(await scores(server, { input: [1, 2, 4] })).toEqual([[7]]);
  });

  test("takes a scalar beside its rows", async () => {
    const scaled = buildModel({
      nodes: [{ op: "Mul", inputs: ["x", "factor"], outputs: ["y"] }],
      inputs: [
        { name: "x", type: "float", dims: ["N", 2] },
        { name: "factor", type: "float", dims: [] },
      ],
      outputs: [{ name: "y", type: "float", dims: ["N", 2] }],
    });
    const server = await serve({ "model.onnx": scaled });
    await server.loaded;
    const input = {
      x: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      factor: 10,
    };
    expect(await scores(server, { input })).toEqual([
      [10, 20],
      [30, 40],
      [50, 60],
    ]);
  });
});

describe("a model of a fixed batch", () => {
  const four = (): BundleFiles => ({
    "model.onnx": buildModel({
      nodes: [{ op: "Identity", inputs: ["x"], outputs: ["y"] }],
      inputs: [{ name: "x", type: "float", dims: [4, 1] }],
      outputs: [{ name: "y", type: "float", dims: [4, 1] }],
    }),
  });

  test.each([1, 4, 9])("answers %i rows", async (rows) => {
    const server = await serve(four());
    await server.loaded;
    const input = Array.from({ length: rows }, (_, row) => [row]);
    expect(await scores(server, { input })).toEqual(input);
  });
});

/** A model of one operator on `[N, classes]`. */
function ending(
  op: string,
  labels: string,
  more: BundleFiles = {},
  dims: readonly (number | string)[] = ["N", 3],
): BundleFiles {
  return {
    "model.onnx": buildModel({
      nodes: [{ op, inputs: ["x"], outputs: ["y"] }],
      inputs: [{ name: "x", type: "float", dims }],
      outputs: [{ name: "y", type: "float", dims }],
    }),
    "labels.txt": labels,
    ...more,
  };
}

describe("what makes percentages of outputs is the same for every row", () => {
  const ABC = "a\nb\nc\n";
  /** Sums to one by accident. */
  const row = [0.5, 0.3, 0.2];

  test.each([
    ["a sigmoid are those of each class alone", "Sigmoid", [2, 0, -2], [88.0797, 50, 11.9203]],
    ["a softmax stay what they are", "Softmax", [2, 1, 0], [66.5241, 24.4728, 9.0031]],
  ])("outputs of %s", async (_, op, values, expected) => {
    const server = await serve(ending(op, ABC));
    await server.loaded;
    const [classes] = (await scores(server, { input: [values] })) as [string, number][][];
    expect(classes?.map(([, percent]) => percent)).toEqual(expected);
  });

  test("outputs of a linear layer get a softmax, also where they sum to one by accident", async () => {
    // On zeros it gives its bias.
    const model = buildModel({
      nodes: [{ op: "Add", inputs: ["x", "bias"], outputs: ["y"] }],
      inputs: [{ name: "x", type: "float", dims: ["N", 3] }],
      outputs: [{ name: "y", type: "float", dims: ["N", 3] }],
      weights: [{ name: "bias", dims: [3], data: row }],
    });
    const server = await serve({ "model.onnx": model, "labels.txt": ABC });
    await server.loaded;
    const [classes] = (await scores(server, { input: [[0, 0, 0]] })) as [string, number][][];
    expect(Object.fromEntries(classes ?? [])).toEqual(softmaxOf(row));
  });

  test("outputs that may be either are what a run on zeros shows, for every row", async () => {
    // Zeros sum to nothing: these are no probabilities.
    const server = await serve(ending("Identity", ABC));
    await server.loaded;
    const [classes] = (await scores(server, { input: [row] })) as [string, number][][];
    expect(Object.fromEntries(classes ?? [])).toEqual(softmaxOf(row));
  });

  test.each([
    ["none", { a: 50, b: 30, c: 20 }],
    ["softmax", softmaxOf(row)],
    ["sigmoid", { a: 62.2459, b: 57.4443, c: 54.9834 }],
  ])("the field activation decides: %s", async (activation, expected) => {
    const server = await serve(ending("Identity", ABC, { "postprocessing.json": { activation } }));
    await server.loaded;
    const [classes] = (await scores(server, { input: [row] })) as [string, number][][];
    expect(Object.fromEntries(classes ?? [])).toEqual(expected);
  });

  test("one column of a sigmoid is the probability itself", async () => {
    const server = await serve(ending("Sigmoid", "yes\n", {}, ["N", 1]));
    await server.loaded;
    expect(await scores(server, { input: [[0], [-2]] })).toEqual([
      [["yes", 50]],
      [["yes", 11.9203]],
    ]);
  });

  test("outputs of [N, 3, 1, 1] are three classes", async () => {
    const server = await serve(ending("Sigmoid", ABC, {}, ["N", 3, 1, 1]));
    await server.loaded;
    const [classes] = (await scores(server, { input: [[[[0]], [[2]], [[-2]]]] })) as [
      string,
      number,
    ][][];
    expect(classes?.map(([label]) => label)).toEqual(["b", "a", "c"]);
  });

  test("labels of another number than the classes fail the start, also where only a run shows it", async () => {
    // What is computed has a width that the runtime does not know before.
    const shape = buildModel({
      nodes: [
        { op: "Abs", inputs: ["w"], outputs: ["v"] },
        { op: "Cast", inputs: ["v"], outputs: ["s"], integers: { to: 7 } },
        { op: "Add", inputs: ["s", "n"], outputs: ["t"] },
        { op: "Reshape", inputs: ["x", "t"], outputs: ["y"] },
      ],
      inputs: [
        { name: "x", type: "float", dims: ["N", 3] },
        { name: "n", type: "int64", dims: [] },
      ],
      outputs: [{ name: "y", type: "float", dims: ["N", "classes"] }],
      weights: [{ name: "w", dims: [2], data: [1, 3] }],
    });
    const message = "labels.txt has 2 lines, the model 3 classes";
    expect(await refusalOf({ "model.onnx": shape, "labels.txt": "a\nb\n" })).toMatchObject({
      code: "BUNDLE_INVALID",
      message,
    });
    const free = await serve(ending("Identity", "a\nb\n", {}, ["N", "classes"]));
    await free.loaded;
    expect(await score(free, { input: [[1, 2, 3]] })).toMatchObject({
      status: 500,
      body: { error: message },
    });
    expect((await score(free, { input: [[1, 2]] })).status).toBe(200);
  });

  test("postprocessing.json names the output that is scored", async () => {
    const model = buildModel({
      nodes: [
        { op: "Identity", inputs: ["x"], outputs: ["features"] },
        { op: "Softmax", inputs: ["x"], outputs: ["scores"] },
      ],
      inputs: [{ name: "x", type: "float", dims: ["N", 2] }],
      outputs: [
        { name: "features", type: "float", dims: ["N", 2] },
        { name: "scores", type: "float", dims: ["N", 2] },
      ],
    });
    const server = await serve({
      "model.onnx": model,
      "postprocessing.json": { output: "scores" },
    });
    await server.loaded;
    expect(await scores(server, { input: [[7, 7]] })).toEqual([[0.5, 0.5]]);
    expect(
      await refusalOf({ "model.onnx": model, "postprocessing.json": { output: "logits" } }),
    ).toMatchObject({
      code: "BUNDLE_INVALID",
      message: "postprocessing.json names the output logits; the model has features, scores",
    });
  });
});

function softmaxOf([a = 0, b = 0, c = 0]: readonly number[]): Readonly<Record<string, number>> {
  const powers = [a, b, c].map((value) => Math.exp(value));
  const sum = powers.reduce((total, value) => total + value);
  const [first, second, third] = powers.map((value) => expect.closeTo((100 * value) / sum, 3));
  return { a: first, b: second, c: third };
}

describe("a model that the runtime does not know is rejected at the start", () => {
  const node = { op: "Identity", inputs: ["x"], outputs: ["y"] };
  const ports = {
    inputs: [{ name: "x", type: "float", dims: ["N", 2] }],
    outputs: [{ name: "y", type: "float", dims: ["N", 2] }],
  } as const;

  test.each([
    [
      "of a newer IR",
      { ir: 99, nodes: [node] },
      /it has IR version 99, the runtime knows those up to \d+: export it with ir_version=\d+$/,
    ],
    [
      "of a newer opset",
      { opsets: { "": 99 }, nodes: [node] },
      /it has opset 99 of ai\.onnx, the runtime knows those up to \d+: export it with opset \d+$/,
    ],
    [
      "with an operator that is none",
      { nodes: [{ ...node, op: "Nonsense" }] },
      /the runtime knows no operator Nonsense of opset 13: export the model with standard operators$/,
    ],
    [
      "with an operator of another domain",
      {
        opsets: { "": 13, "my.domain": 1 },
        nodes: [{ ...node, op: "Nonsense", domain: "my.domain" }],
      },
      /the runtime knows no operator Nonsense of my\.domain: export/,
    ],
  ])("%s", async (_, spec, message) => {
    expect(await refusalOf({ "model.onnx": buildModel({ ...ports, ...spec }) })).toMatchObject({
      code: "MODEL_LOAD_FAILED",
      message: expect.stringMatching(
        new RegExp(`^the runtime rejects model\\.onnx: ${message.source}`),
      ),
    });
  });

  test("and so is the provider that the machine does not have", async () => {
    expect(await refusalOf(identity("float"), { EXECUTION_PROVIDER: "cuda" })).toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(
        /^EXECUTION_PROVIDER is cuda, but this image or machine has no library for it/,
      ),
    });
  });
});

describe("external data", () => {
  const weighted = (file: string): Buffer =>
    buildModel({
      nodes: [{ op: "Add", inputs: ["x", "w"], outputs: ["y"] }],
      inputs: [{ name: "x", type: "float", dims: ["N", 2] }],
      outputs: [{ name: "y", type: "float", dims: ["N", 2] }],
      weights: [{ name: "w", dims: [2], data: [10, 20], file }],
    });
  const weights = new Uint8Array(Float32Array.of(10, 20).buffer);

  test("is read from the bundle", async () => {
    const server = await serve({ "model.onnx": weighted("w.bin"), "w.bin": weights });
    await server.loaded;
    expect(await scores(server, { input: [[1, 2]] })).toEqual([[11, 22]]);
  });

  test("that is missing fails the start by the file's name", async () => {
    expect(await refusalOf({ "model.onnx": weighted("w.bin") })).toMatchObject({
      code: "BUNDLE_UNREADABLE",
      message: "the bundle has no w.bin: publish it with the model",
    });
  });

  test.each(["../w.bin", "/etc/passwd", "a//b"])(
    "outside the bundle fails the start: %s",
    async (file) => {
      expect(await refusalOf({ "model.onnx": weighted(file) })).toMatchObject({
        code: "BUNDLE_INVALID",
        message: expect.stringMatching(
          /^model\.onnx keeps weights in ".*", which is no file of the bundle/,
        ),
      });
    },
  );
});
