import { request } from "node:http";
import { gunzipSync, gzipSync, inflateSync } from "node:zlib";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { ADD, floats, identity, infer, inferRaw, send, serving, tensor } from "./infer.testing.ts";
import { startOn } from "./serve.testing.ts";
import type { Server } from "./server.ts";

describe("tensors in JSON", () => {
  test.each([
    ["half", "FP16", [1.5, -0.25]],
    ["float", "FP32", [0.5, "NaN"]],
    ["float", "FP32", ["Infinity", "-Infinity"]],
    ["double", "FP64", [0.1, 1e300]],
    ["int8", "INT8", [-128, 127]],
    ["uint8", "UINT8", [0, 255]],
    ["int16", "INT16", [-32768, 32767]],
    ["uint16", "UINT16", [0, 65535]],
    ["int32", "INT32", [-2147483648, 2147483647]],
    ["uint32", "UINT32", [0, 4294967295]],
    ["int64", "INT64", [-5, "9007199254740993"]],
    ["uint64", "UINT64", [7, "18446744073709551615"]],
    ["bool", "BOOL", [true, false]],
    ["string", "BYTES", ["a", "ü"]],
  ] as const)("of %s, %s, come back as they were sent: %j", async (type, datatype, data) => {
    const server = await serving(identity(type), { MODEL_VERSION: "3" });
    const answer = await infer(server, {
      id: "42",
      inputs: [tensor("x", datatype, [1, 2], data)],
    });
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.body).toEqual({
      model_name: "model",
      model_version: "3",
      id: "42",
      outputs: [tensor("y", datatype, [1, 2], data)],
    });
  });

  test("may be nested as their shape says, or flat", async () => {
    const server = await serving(identity("int8"));
    for (const data of [
      [1, 2, 3, 4],
      [
        [1, 2],
        [3, 4],
      ],
    ]) {
      const { body } = await infer(server, { inputs: [tensor("x", "INT8", [2, 2], data)] });
      expect(body).toMatchObject({ outputs: [tensor("y", "INT8", [2, 2], [1, 2, 3, 4])] });
    }
  });

  test("keep all digits of integers that are plain numbers, which most readers would change", async () => {
    const server = await serving(identity("int64"));
    const { body } = await send(
      server,
      '{"inputs": [{"name": "x", "datatype": "INT64", "shape": [1, 2], "data": [9007199254740993, -9223372036854775808]}]}',
    );
    expect(body).toMatchObject({
      outputs: [{ data: ["9007199254740993", "-9223372036854775808"] }],
    });
  });

  test("may come with any content type", async () => {
    const server = await serving(identity("int8"));
    const body = JSON.stringify({ inputs: [tensor("x", "INT8", [1, 2], [1, 2])] });
    for (const type of ["application/json", "text/plain", "nonsense"]) {
      const { status } = await send(server, body, { "content-type": type });
      expect([type, status]).toEqual([type, 200]);
    }
  });

  test("of more rows than one run takes are run in parts", async () => {
    const server = await serving(identity("int32", ["N"]), { MAX_BATCH_ROWS: "2" });
    const { body } = await infer(server, { inputs: [tensor("x", "INT32", [5], [1, 2, 3, 4, 5])] });
    expect(body).toMatchObject({ outputs: [{ shape: [5], data: [1, 2, 3, 4, 5] }] });
  });

  test("may be a scalar", async () => {
    const server = await serving(identity("float", []));
    const { body } = await infer(server, { inputs: [tensor("x", "FP32", [], [5])] });
    expect(body).toMatchObject({ outputs: [{ shape: [], data: [5] }] });
  });
});

describe("the binary extension", () => {
  let server: Server;
  let close: () => Promise<void>;
  beforeAll(async () => {
    ({ server, close } = await startOn({ "model.onnx": ADD }));
    await server.loaded;
  });
  afterAll(async () => close());

  const raw = (name: string, bytes = 12): object => ({
    name,
    datatype: "FP32",
    shape: [1, 3],
    parameters: { binary_data_size: bytes },
  });

  test("takes raw inputs in their order, and gives raw outputs where they are wanted", async () => {
    const answer = await inferRaw(
      server,
      {
        inputs: [raw("b"), raw("a")],
        outputs: [{ name: "copy", parameters: { binary_data: true } }, { name: "sum" }],
      },
      floats(10, 20, 30),
      floats(1, 2, 3),
    );
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      model_name: "model",
      outputs: [
        { name: "copy", datatype: "FP32", shape: [1, 3], parameters: { binary_data_size: 12 } },
        { name: "sum", datatype: "FP32", shape: [1, 3], data: [11, 22, 33] },
      ],
    });
    expect(answer.bytes).toEqual(Buffer.from(floats(1, 2, 3)));
    expect(answer.headers.get("content-type")).toBe("application/octet-stream");
  });

  test("mixes raw inputs with JSON, and gives all outputs raw but those that say otherwise", async () => {
    const answer = await inferRaw(
      server,
      {
        parameters: { binary_data_output: true },
        inputs: [tensor("a", "FP32", [1, 3], [1, 2, 3]), raw("b")],
        outputs: [{ name: "sum" }, { name: "copy", parameters: { binary_data: false } }],
      },
      floats(1, 1, 1),
    );
    expect(answer.body).toMatchObject({
      outputs: [{ parameters: { binary_data_size: 12 } }, { data: [1, 2, 3] }],
    });
    expect(answer.bytes).toEqual(Buffer.from(floats(2, 3, 4)));
  });

  test.each<[string, object, Uint8Array[], RegExp]>([
    [
      "with fewer bytes than it says",
      { inputs: [raw("a"), raw("b")] },
      [floats(1, 2, 3), floats(1)],
      /^the input "b" has the binary_data_size 12, but only 4 bytes are left of the body$/,
    ],
    [
      "with more bytes than it says",
      { inputs: [raw("a"), raw("b")] },
      [floats(1, 2, 3), floats(1, 2, 3, 4)],
      /^28 bytes follow the JSON, the inputs' binary_data_size are 24 in all$/,
    ],
    [
      "whose size does not fit its shape",
      { inputs: [raw("a", 8), raw("b")] },
      [floats(1, 2), floats(1, 2, 3)],
      /^the input "a" has 8 bytes; FP32 of shape \[1, 3\] needs 12$/,
    ],
    [
      "with both data and a size",
      { inputs: [{ ...raw("a"), data: [1, 2, 3] }, raw("b")] },
      [floats(1, 2, 3), floats(1, 2, 3)],
      /^the input "a" has both data and binary_data_size/,
    ],
    [
      "with a negative size",
      { inputs: [raw("a", -1)] },
      [],
      /^inputs\[0\]\.parameters\.binary_data_size must be 0 or more, and is -1$/,
    ],
  ])("refuses a request %s", async (_, request, bytes, message) => {
    expect(await inferRaw(server, request, ...bytes)).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(message) },
    });
  });

  test.each(["-1", "1000", "1.5", "abc", "0x10", ""])(
    "refuses Inference-Header-Content-Length: %s",
    async (length) => {
      const answer = await send(server, "{}", { "inference-header-content-length": length });
      expect(answer).toMatchObject({
        status: 400,
        body: { error: expect.stringMatching(/^Inference-Header-Content-Length must be /) },
      });
    },
  );

  test("takes a body of raw bytes alone for a model of one input, and fills its free dimension", async () => {
    const one = await serving(identity("float"));
    const answer = await send(one, floats(1, 2, 3, 4), { "inference-header-content-length": "0" });
    expect(answer.body).toMatchObject({ outputs: [{ name: "y", shape: [2, 2] }] });
    expect(answer.bytes).toEqual(Buffer.from(floats(1, 2, 3, 4)));
    for (const [bytes, other] of [
      [floats(1, 2, 3), one],
      [floats(1, 2, 3), server],
      [new Uint8Array(7), one],
      [new Uint8Array(0), one],
    ] as const)
      expect(await send(other, bytes, { "inference-header-content-length": "0" })).toMatchObject({
        status: 400,
      });
  });
});

describe("text as raw bytes", () => {
  const text = (...values: string[]): Buffer =>
    Buffer.concat(
      values.flatMap((value) => {
        const length = Buffer.alloc(4);
        length.writeUInt32LE(Buffer.byteLength(value));
        return [length, Buffer.from(value)];
      }),
    );
  const input = (bytes: number): object => ({
    name: "x",
    datatype: "BYTES",
    shape: [1, 2],
    parameters: { binary_data_size: bytes },
  });

  test("comes back as it was sent", async () => {
    const server = await serving(identity("string"));
    const bytes = text("", "grün");
    const answer = await inferRaw(
      server,
      { parameters: { binary_data_output: true }, inputs: [input(bytes.length)] },
      bytes,
    );
    expect(answer.bytes).toEqual(bytes);
  });

  test.each([
    ["of one element too few", text("a"), /does not hold 2 elements/],
    ["of one element too many", text("a", "b", "c"), /does not hold 2 elements/],
    [
      "whose length is beyond the body",
      Buffer.concat([text("a"), Buffer.from([255, 255, 255, 255, 0xff])]),
      /does not hold 2 elements/,
    ],
    ["that ends in a length", Buffer.concat([text("abcd"), Buffer.from([1, 0])]), /does not hold/],
    [
      "that is not UTF-8",
      Buffer.concat([text("a"), Buffer.from([1, 0, 0, 0, 0xff])]),
      /bytes that are not UTF-8/,
    ],
    ["that holds NUL", text("a", "\0"), /the character NUL/],
  ])("is refused %s", async (_, bytes, message) => {
    const server = await serving(identity("string"));
    expect(await inferRaw(server, { inputs: [input(bytes.length)] }, bytes)).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(message) },
    });
  });
});

describe("classification", () => {
  const classes = (classification: number): object => ({
    inputs: [tensor("x", "FP32", [2, 3], [0.1, 0.7, 0.2, "NaN", 5, "Infinity"])],
    outputs: [{ name: "y", parameters: { classification } }],
  });

  test("gives the highest values of each row, with their places and labels", async () => {
    const server = await serving({
      ...identity("float", ["N", 3]),
      "labels.txt": "cat\ndog\nfish: small\n",
    });
    expect((await infer(server, classes(2))).body).toMatchObject({
      outputs: [
        tensor(
          "y",
          "BYTES",
          [2, 2],
          ["0.7:1:dog", "0.2:2:fish: small", "Infinity:2:fish: small", "5:1:dog"],
        ),
      ],
    });
  });

  test("gives no more than there are, and no labels where there are none", async () => {
    const server = await serving(identity("float", ["N", 3]));
    expect((await infer(server, classes(1000))).body).toMatchObject({
      outputs: [{ shape: [2, 3], data: ["0.7:1", "0.2:2", "0.1:0", "Infinity:2", "5:1", "NaN:0"] }],
    });
  });

  test("is refused of text, and of too many", async () => {
    const server = await serving(identity("string"));
    const request = {
      inputs: [tensor("x", "BYTES", [1, 2], ["a", "b"])],
      outputs: [{ name: "y", parameters: { classification: 1 } }],
    };
    expect(await infer(server, request)).toMatchObject({
      status: 400,
      body: { error: "the output y is text, which has no highest values" },
    });
    expect(await infer(server, classes(1001))).toMatchObject({ status: 400 });
  });
});

describe("bodies that are compressed", () => {
  test("are taken, and given where the client accepts it", async () => {
    const server = await serving(identity("int32", ["N"]));
    const data = Array.from({ length: 1000 }, (_, index) => index);
    const json = JSON.stringify({ inputs: [tensor("x", "INT32", [1000], data)] });
    const sent = gzipSync(json);
    const answers = await Promise.all(
      ["gzip", "deflate", "identity"].map(async (encoding) => {
        return new Promise<readonly [string | undefined, Buffer]>((resolve) => {
          const outgoing = request(
            {
              port: server.port,
              host: "127.0.0.1",
              method: "POST",
              path: "/v2/models/model/infer",
              headers: { "accept-encoding": encoding, "content-encoding": "gzip" },
            },
            (response) => {
              const chunks: Buffer[] = [];
              response.on("data", (chunk: Buffer) => chunks.push(chunk));
              response.on("end", () =>
                resolve([response.headers["content-encoding"], Buffer.concat(chunks)]),
              );
            },
          );
          outgoing.end(sent);
        });
      }),
    );
    expect(answers.map(([encoding]) => encoding)).toEqual(["gzip", "deflate", undefined]);
    const [gzipped, deflated, plain] = answers.map(([, bytes]) => bytes);
    expect(gunzipSync(gzipped ?? "")).toEqual(plain);
    expect(inflateSync(deflated ?? "")).toEqual(plain);
  });
});
