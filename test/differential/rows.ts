import type { Answer, AnsweredTensor, ProtocolRequest } from "./answer.ts";
import {
  floats,
  get,
  hex,
  infer,
  inferGzip,
  inferRaw,
  post,
  rawTensor,
  tensor,
  texts,
} from "./requests.ts";

/** A request and the answer of the model server; `differences.ts` says who else answers in another way, and why. */
export interface Row {
  readonly title: string;
  readonly request: ProtocolRequest;
  readonly expected: Answer;
}

const a = tensor("a", "FP32", [1, 3], [1, 2, 3]);
const b = tensor("b", "FP32", [1, 3], [10, 20, 30]);
const sum: AnsweredTensor = { name: "sum", datatype: "FP32", shape: [1, 3], data: [11, 22, 33] };
const copy: AnsweredTensor = { name: "copy", datatype: "FP32", shape: [1, 3], data: [1, 2, 3] };
const added: Answer = { status: 200, outputs: [sum, copy] };
const invalid: Answer = { status: 400, hasError: true };
const notFound: Answer = { status: 404, hasError: true };

/** The input `x` of a model that gives it back as `y`. */
function echo(datatype: string, shape: readonly number[], data: unknown): object {
  return { inputs: [tensor("x", datatype, shape, data)] };
}

function echoed(
  datatype: string,
  shape: readonly number[],
  data: readonly unknown[],
  raw?: true,
): Answer {
  const output: AnsweredTensor = { name: "y", datatype, shape, data };
  return { status: 200, outputs: [raw ? { ...output, raw } : output] };
}

function wrong(fields: object): object {
  return { inputs: [{ ...a, ...fields }, b] };
}

/** A request to the model `add` that is not valid. */
function refusal(title: string, body: object): Row {
  return { title, request: infer("add", body), expected: invalid };
}

const ports = {
  name: "add",
  inputs: ["a", "b"].map((name) => ({ name, datatype: "FP32", shape: [-1, 3] })),
  outputs: ["sum", "copy"].map((name) => ({ name, datatype: "FP32", shape: [-1, 3] })),
};
const twoRaw = [rawTensor("a", "FP32", [1, 3], 12), rawTensor("b", "FP32", [1, 3], 12)];
const rawValues = [floats(1, 2, 3), floats(10, 20, 30)];
const rawSum = (output: AnsweredTensor): AnsweredTensor => ({
  ...output,
  data: [hex(floats(...output.data.map(Number)))],
  raw: true,
});
const binaryOutput = { binary_data_output: true };
const NAN = floats(Number.NaN, Infinity, -Infinity);

const server: readonly Row[] = [
  { title: "the server is live", request: get("/v2/health/live"), expected: { status: 200 } },
  { title: "the server is ready", request: get("/v2/health/ready"), expected: { status: 200 } },
  { title: "the server's metadata", request: get("/v2"), expected: { status: 200 } },
  { title: "the same with a slash at the end", request: get("/v2/"), expected: { status: 200 } },
  {
    title: "a model's metadata",
    request: get("/v2/models/add", ["name", "inputs", "outputs"]),
    expected: { status: 200, body: ports },
  },
  {
    title: "a model's versions",
    request: get("/v2/models/add", ["versions"]),
    expected: { status: 200, body: { versions: ["1"] } },
  },
  {
    title: "the metadata of a version",
    request: get("/v2/models/add/versions/1", ["name"]),
    expected: { status: 200, body: { name: "add" } },
  },
  { title: "a model is ready", request: get("/v2/models/add/ready"), expected: { status: 200 } },
  {
    title: "a version is ready",
    request: get("/v2/models/add/versions/1/ready"),
    expected: { status: 200 },
  },
  { title: "the models", request: get("/v2/models"), expected: { status: 200 } },
  {
    title: "the repository's index",
    request: { ...post("/v2/repository/index", {}), fields: [] },
    expected: { status: 200 },
  },
  {
    title: "a model's statistics",
    request: get("/v2/models/add/stats"),
    expected: { status: 200 },
  },
  {
    title: "a model's configuration",
    request: get("/v2/models/add/config"),
    expected: { status: 200 },
  },
  {
    title: "the metadata of an unknown model",
    request: get("/v2/models/other"),
    expected: notFound,
  },
  {
    title: "whether an unknown model is ready",
    request: get("/v2/models/other/ready"),
    expected: notFound,
  },
  { title: "an unknown path", request: get("/v2/nothing"), expected: notFound },
  {
    title: "an inference by GET",
    request: get("/v2/models/add/infer"),
    expected: { status: 405, hasError: true },
  },
];

const values: readonly Row[] = [
  {
    title: "two inputs and two outputs",
    request: infer("add", { inputs: [a, b] }),
    expected: added,
  },
  {
    title: "the inputs in another order",
    request: infer("add", { inputs: [b, a] }),
    expected: added,
  },
  {
    title: "an id",
    request: infer("add", { id: "17", inputs: [a, b] }),
    expected: { ...added, id: "17" },
  },
  {
    title: "a version",
    request: post("/v2/models/add/versions/1/infer", { inputs: [a, b] }),
    expected: added,
  },
  {
    title: "one of the outputs",
    request: infer("add", { inputs: [a, b], outputs: [{ name: "copy" }] }),
    expected: { status: 200, outputs: [copy] },
  },
  {
    title: "the outputs in another order",
    request: infer("add", { inputs: [a, b], outputs: [{ name: "copy" }, { name: "sum" }] }),
    expected: { status: 200, outputs: [copy, sum] },
  },
  {
    title: "no outputs at all",
    request: infer("add", { inputs: [a, b], outputs: [] }),
    expected: added,
  },
  {
    title: "nested values",
    request: infer("add", { inputs: [{ ...a, data: [[1, 2, 3]] }, b] }),
    expected: added,
  },
  {
    title: "two rows",
    request: infer("add", {
      inputs: [
        tensor("a", "FP32", [2, 3], [1, 2, 3, 4, 5, 6]),
        tensor("b", "FP32", [2, 3], [1, 1, 1, 0.5, 0.5, 0.5]),
      ],
      outputs: [{ name: "sum" }],
    }),
    expected: {
      status: 200,
      outputs: [{ ...sum, shape: [2, 3], data: [2, 3, 4, 4.5, 5.5, 6.5] }],
    },
  },
  {
    title: "unknown parameters",
    request: infer("add", { parameters: { colour: "red" }, inputs: [a, b] }),
    expected: added,
  },
  {
    title: "no content type",
    request: infer("add", { inputs: [a, b] }, {}),
    expected: added,
  },
  {
    title: "another charset in the content type",
    request: infer(
      "add",
      { inputs: [a, b] },
      { "content-type": "application/json; charset=utf-8" },
    ),
    expected: added,
  },
  {
    title: "a body of gzip",
    request: inferGzip("add", { inputs: [a, b] }),
    expected: added,
  },
  {
    title: "doubles",
    request: infer("double", echo("FP64", [1, 2], [0.1, 1e300])),
    expected: echoed("FP64", [1, 2], [0.1, 1e300]),
  },
  {
    title: "floats that have no short decimal form",
    request: infer("add", {
      inputs: [{ ...a, data: [0.1, 0.2, 0.3] }, b],
      outputs: [{ name: "copy" }],
    }),
    expected: {
      status: 200,
      outputs: [{ ...copy, data: [0.1, 0.2, 0.3].map(Math.fround) }],
    },
  },
  {
    title: "integers",
    request: infer("int64", echo("INT64", [1, 2], [-1, 2 ** 40])),
    expected: echoed("INT64", [1, 2], [-1, 2 ** 40]),
  },
  {
    title: "integers beyond 2^53",
    request: infer(
      "int64",
      '{"inputs":[{"name":"x","datatype":"INT64","shape":[1,2],"data":[9007199254740993,-9223372036854775808]}]}',
    ),
    expected: echoed("INT64", [1, 2], ["9007199254740993", "-9223372036854775808"]),
  },
  {
    title: "the same as text",
    request: infer("int64", echo("INT64", [1, 2], ["9007199254740993", "1"])),
    expected: echoed("INT64", [1, 2], ["9007199254740993", 1]),
  },
  {
    title: "no rows",
    request: infer("double", echo("FP64", [0, 2], [])),
    expected: echoed("FP64", [0, 2], []),
  },
  {
    title: "booleans",
    request: infer("bool", echo("BOOL", [1, 2], [true, false])),
    expected: echoed("BOOL", [1, 2], [true, false]),
  },
  {
    title: "booleans as 1 and 0",
    request: infer("bool", echo("BOOL", [1, 2], [1, 0])),
    expected: echoed("BOOL", [1, 2], [true, false]),
  },
  {
    title: "bytes from 0 to 255",
    request: infer("uint8", echo("UINT8", [1, 2], [0, 255])),
    expected: echoed("UINT8", [1, 2], [0, 255]),
  },
  {
    title: "halves",
    request: infer("half", echo("FP16", [1, 2], [0.5, -2])),
    expected: echoed("FP16", [1, 2], [0.5, -2]),
  },
  {
    title: "text",
    request: infer("text", echo("BYTES", [1, 2], ["grün", "日本"])),
    expected: echoed("BYTES", [1, 2], ["grün", "日本"]),
  },
  {
    title: "empty text",
    request: infer("text", echo("BYTES", [1, 2], ["", "a"])),
    expected: echoed("BYTES", [1, 2], ["", "a"]),
  },
  {
    title: "nested text",
    request: infer(
      "text",
      echo(
        "BYTES",
        [2, 2],
        [
          ["a", "b"],
          ["c", "d"],
        ],
      ),
    ),
    expected: echoed("BYTES", [2, 2], ["a", "b", "c", "d"]),
  },
  {
    title: "NaN as text",
    request: infer("double", echo("FP64", [1, 2], ["NaN", "-Infinity"])),
    expected: echoed("FP64", [1, 2], ["NaN", "-Infinity"]),
  },
  {
    title: "NaN as a bare word",
    request: infer(
      "double",
      '{"inputs":[{"name":"x","datatype":"FP64","shape":[1,2],"data":[NaN,-Infinity]}]}',
    ),
    expected: invalid,
  },
  {
    title: "null in the place of a number",
    request: infer("double", echo("FP64", [1, 2], [null, 1])),
    expected: invalid,
  },
  {
    title: "classification",
    request: infer("add", {
      inputs: [a, b],
      outputs: [{ name: "sum", parameters: { classification: 2 } }],
    }),
    expected: {
      status: 200,
      outputs: [{ name: "sum", datatype: "BYTES", shape: [1, 2], data: ["33:2", "22:1"] }],
    },
  },
];

const binary: readonly Row[] = [
  {
    title: "raw inputs, outputs as JSON",
    request: inferRaw("add", { inputs: twoRaw }, rawValues),
    expected: added,
  },
  {
    title: "raw inputs and outputs",
    request: inferRaw("add", { parameters: binaryOutput, inputs: twoRaw }, rawValues),
    expected: { status: 200, outputs: [rawSum(sum), rawSum(copy)] },
  },
  {
    title: "raw inputs and outputs of no rows",
    request: inferRaw(
      "double",
      {
        parameters: binaryOutput,
        inputs: [rawTensor("x", "FP64", [0, 2], 0)],
      },
      [],
    ),
    expected: {
      status: 200,
      outputs: [{ name: "y", datatype: "FP64", shape: [0, 2], data: [""], raw: true }],
    },
  },
  {
    title: "inputs as JSON, raw outputs",
    request: infer("add", { parameters: binaryOutput, inputs: [a, b] }),
    expected: { status: 200, outputs: [rawSum(sum), rawSum(copy)] },
  },
  {
    title: "one raw output, the other as JSON",
    request: inferRaw(
      "add",
      {
        inputs: twoRaw,
        outputs: [{ name: "sum", parameters: { binary_data: true } }, { name: "copy" }],
      },
      rawValues,
    ),
    expected: { status: 200, outputs: [rawSum(sum), copy] },
  },
  {
    title: "an output as JSON where all others are raw",
    request: inferRaw(
      "add",
      {
        parameters: binaryOutput,
        inputs: twoRaw,
        outputs: [{ name: "sum", parameters: { binary_data: false } }, { name: "copy" }],
      },
      rawValues,
    ),
    expected: { status: 200, outputs: [sum, rawSum(copy)] },
  },
  {
    title: "one raw input, the other as JSON",
    request: inferRaw("add", { inputs: [a, twoRaw[1]] }, [floats(10, 20, 30)]),
    expected: added,
  },
  {
    title: "raw text",
    request: inferRaw(
      "text",
      {
        parameters: binaryOutput,
        inputs: [rawTensor("x", "BYTES", [1, 2], texts("grün", "").length)],
      },
      [texts("grün", "")],
    ),
    expected: echoed("BYTES", [1, 2], [hex(texts("grün", ""))], true),
  },
  {
    title: "raw halves",
    request: inferRaw(
      "half",
      { parameters: binaryOutput, inputs: [rawTensor("x", "FP16", [1, 2], 4)] },
      [Buffer.from("003800c0", "hex")],
    ),
    expected: echoed("FP16", [1, 2], ["003800c0"], true),
  },
  {
    title: "raw NaN and infinities",
    request: inferRaw(
      "add",
      {
        parameters: binaryOutput,
        inputs: twoRaw,
      },
      [NAN, floats(0, 0, 0)],
    ),
    expected: {
      status: 200,
      outputs: [sum, copy].map((one) => ({ ...one, data: [hex(NAN)], raw: true as const })),
    },
  },
  {
    title: "NaN and infinities in an answer of JSON",
    request: inferRaw("add", { inputs: twoRaw, outputs: [{ name: "copy" }] }, [
      NAN,
      floats(0, 0, 0),
    ]),
    expected: { status: 200, outputs: [{ ...copy, data: ["NaN", "Infinity", "-Infinity"] }] },
  },
  {
    title: "a body of nothing but raw values",
    request: {
      method: "POST",
      path: "/v2/models/double/infer",
      headers: {
        "content-type": "application/octet-stream",
        "inference-header-content-length": "0",
      },
      body: new Uint8Array(Float64Array.of(0.5, -1).buffer),
    },
    expected: echoed("FP64", [1, 2], [hex(new Uint8Array(Float64Array.of(0.5, -1).buffer))], true),
  },
  {
    title: "fewer raw bytes than the JSON says",
    request: inferRaw("add", { inputs: twoRaw }, [floats(1, 2, 3), floats(10, 20)]),
    expected: invalid,
  },
  {
    title: "more raw bytes than the JSON says",
    request: inferRaw("add", { inputs: twoRaw }, [...rawValues, floats(1)]),
    expected: invalid,
  },
  {
    title: "fewer raw bytes than the shape needs",
    request: inferRaw("add", { inputs: [rawTensor("a", "FP32", [1, 3], 8), b] }, [floats(1, 2)]),
    expected: invalid,
  },
  {
    title: "a header that is longer than the body",
    request: inferRaw("add", { inputs: twoRaw }, rawValues, 1000),
    expected: invalid,
  },
  {
    title: "a header that cuts the JSON",
    request: inferRaw("add", { inputs: twoRaw }, rawValues, -5),
    expected: invalid,
  },
];

const refused: readonly Row[] = [
  {
    title: "an inference of an unknown model",
    request: infer("other", { inputs: [a, b] }),
    expected: notFound,
  },
  {
    title: "an inference of an unknown version",
    request: post("/v2/models/add/versions/9/infer", { inputs: [a, b] }),
    expected: notFound,
  },
  { title: "an empty body", request: infer("add", ""), expected: invalid },
  { title: "a body that is not JSON", request: infer("add", '{"inputs": ['), expected: invalid },
  { title: "a list", request: infer("add", []), expected: invalid },
  { title: "no inputs", request: infer("add", {}), expected: invalid },
  { title: "a missing input", request: infer("add", { inputs: [a] }), expected: invalid },
  { title: "an input twice", request: infer("add", { inputs: [a, a, b] }), expected: invalid },
  refusal("an unknown input", { inputs: [a, b, { ...a, name: "c" }] }),
  refusal("an unknown output", { inputs: [a, b], outputs: [{ name: "z" }] }),
  refusal("an output twice", { inputs: [a, b], outputs: [{ name: "sum" }, { name: "sum" }] }),
  refusal("a number as id", { id: 17, inputs: [a, b] }),
  refusal("an unknown datatype", wrong({ datatype: "FLOAT" })),
  refusal("a datatype in lower case", wrong({ datatype: "fp32" })),
  refusal("doubles for floats", wrong({ datatype: "FP64" })),
  refusal("integers for floats", wrong({ datatype: "INT64" })),
  refusal("text for floats", wrong({ datatype: "BYTES", data: ["1", "2", "3"] })),
  refusal("another rank", wrong({ shape: [3] })),
  refusal("another size of a row", wrong({ shape: [1, 2], data: [1, 2] })),
  refusal("rows of different numbers", wrong({ shape: [2, 3], data: [1, 2, 3, 4, 5, 6] })),
  refusal("fewer values than the shape needs", wrong({ data: [1, 2] })),
  refusal("more values than the shape needs", wrong({ data: [1, 2, 3, 4] })),
  refusal("ragged values", wrong({ shape: [2, 3], data: [[1, 2, 3], [4]] })),
  refusal("values nested in another way than the shape", wrong({ data: [[1], [2], [3]] })),
  refusal("a negative dimension", wrong({ shape: [-1, 3] })),
  refusal("a fractional dimension", wrong({ shape: [1.5, 2] })),
  refusal("a shape beyond any memory", wrong({ shape: [2 ** 40, 2 ** 40] })),
  refusal("no values", wrong({ data: undefined })),
  refusal("one value in the place of a list", wrong({ data: 1 })),
  refusal("words in the place of numbers", wrong({ data: ["one", "two", "three"] })),
  refusal("digits in the place of numbers", wrong({ data: ["1", "2", "3"] })),
  refusal("a number beyond its datatype", wrong({ data: [1e39, 0, 0] })),
  {
    title: "an integer beyond its datatype",
    request: infer("uint8", echo("UINT8", [1, 2], [0, 256])),
    expected: invalid,
  },
  {
    title: "a fraction in the place of an integer",
    request: infer("int64", echo("INT64", [1, 2], [1.5, 2])),
    expected: invalid,
  },
  {
    title: "a number in the place of a boolean",
    request: infer("bool", echo("BOOL", [1, 2], [2, 0])),
    expected: invalid,
  },
  {
    title: "numbers in the place of text",
    request: infer("text", echo("BYTES", [1, 2], [1, 2])),
    expected: invalid,
  },
];

/** By what they are about. Titles are unique. */
export const topics = {
  "metadata and health": server,
  "values in JSON": values,
  "the binary extension": binary,
  "requests to refuse": refused,
} as const satisfies Readonly<Record<string, readonly Row[]>>;

export const rows: readonly Row[] = Object.values(topics).flat();
