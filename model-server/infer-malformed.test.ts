import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { ADD, infer, send, tensor } from "./infer.testing.ts";
import { startOn } from "./serve.testing.ts";
import type { Server } from "./server.ts";

describe("a request that does not fit", () => {
  let server: Server;
  let close: () => Promise<void>;
  beforeAll(async () => {
    ({ server, close } = await startOn({ "model.onnx": ADD }, { MODEL_VERSION: "7" }));
    await server.loaded;
  });
  afterAll(async () => close());

  const a = tensor("a", "FP32", [1, 3], [1, 2, 3]);
  const b = tensor("b", "FP32", [1, 3], [1, 2, 3]);
  const wrong = (fields: object): object => ({ inputs: [{ ...a, ...fields }, b] });

  test.each<[string, object, number, RegExp]>([
    ["of no inputs", {}, 400, /^inputs is missing: it must be an array$/],
    ["of an empty list of inputs", { inputs: [] }, 400, /^the input a is missing/],
    ["with a missing input", { inputs: [a] }, 400, /^the input b is missing: .* FP32 of shape/],
    ["with an input twice", { inputs: [a, a, b] }, 400, /^the input "a" is there twice/],
    [
      "with an unknown input",
      { inputs: [a, b, { ...a, name: "c" }] },
      400,
      /^the model has no input "c": it takes a, b$/,
    ],
    [
      "with an unknown output",
      { inputs: [a, b], outputs: [{ name: "z" }] },
      400,
      /^the model has no output "z": it gives sum, copy$/,
    ],
    [
      "with an output twice",
      { inputs: [a, b], outputs: [{ name: "sum" }, { name: "sum" }] },
      400,
      /^the output "sum" is there twice/,
    ],
    [
      "of a negative dimension",
      wrong({ shape: [-1, 3] }),
      400,
      /^inputs\[0\]\.shape\[0\] must be 0 or more, and is -1: send the size that the values have$/,
    ],
    [
      "of a fractional dimension",
      wrong({ shape: [1.5, 2] }),
      400,
      /^inputs\[0\]\.shape\[0\] must be a whole number, and is 1\.5$/,
    ],
    [
      "of an overflowing shape",
      wrong({ shape: [2 ** 40, 2 ** 40] }),
      400,
      /^the input "a" has a shape that is too large$/,
    ],
    [
      "of a shape that overflows to zero in 64 bits",
      wrong({ shape: [2 ** 32, 2 ** 32] }),
      400,
      /too large/,
    ],
    [
      "of too many dimensions",
      wrong({ shape: Array<number>(9).fill(1) }),
      400,
      /^inputs\[0\]\.shape must be an array of at most 8 elements, and is an array of 9$/,
    ],
    [
      "of no rows in one input alone",
      wrong({ shape: [0, 3], data: [] }),
      400,
      /^the inputs have 0 and 1 rows/,
    ],
    [
      "of another shape",
      wrong({ shape: [3], data: [1, 2, 3] }),
      400,
      /^the input "a" has the shape \[3\], the model takes \[any, 3\]$/,
    ],
    [
      "of rows of another number",
      wrong({ shape: [2, 3], data: [1, 2, 3, 4, 5, 6] }),
      400,
      /^the inputs have 2 and 1 rows/,
    ],
    [
      "of an unknown datatype",
      wrong({ datatype: "BF16" }),
      400,
      /^the input "a" has the datatype "BF16": use one of BOOL, /,
    ],
    [
      "of another datatype",
      wrong({ datatype: "FP64" }),
      400,
      /^the input "a" has the datatype FP64, the model takes FP32$/,
    ],
    [
      "of fewer values",
      wrong({ data: [1, 2] }),
      400,
      /^the input "a" has data of shape \[2\] and the shape \[1, 3\]$/,
    ],
    ["of ragged values", wrong({ shape: [2, 3], data: [[1, 2, 3], [4]] }), 400, /ragged/],
    [
      "of values nested in another way",
      wrong({ data: [[1], [2], [3]] }),
      400,
      /^the input "a" has data of shape \[3, 1\]/,
    ],
    [
      "of text",
      wrong({ data: ["1", "2", "3"] }),
      400,
      /^the input "a" holds a string where a number should be$/,
    ],
    ["of no values", wrong({ data: undefined }), 400, /^the input "a" has no values/],
    [
      "of one value in the place of an array",
      wrong({ data: 1 }),
      400,
      /^the input "a" has data that is no array$/,
    ],
    ["of values beyond its datatype", wrong({ data: [1e39, 0, 0] }), 400, /beyond float32/],
    [
      "of a sequence",
      { parameters: { sequence_id: 1 }, inputs: [a, b] },
      400,
      /^sequences are not supported/,
    ],
    [
      "of shared memory",
      wrong({ data: undefined, parameters: { shared_memory_region: "r" } }),
      400,
      /^shared memory regions are not supported/,
    ],
    ["of a number as id", { id: 1, inputs: [a, b] }, 400, /^id must be text, and is 1$/],
    [
      "without a shape",
      wrong({ shape: undefined }),
      400,
      /^inputs\[0\]\.shape is missing: it must be an array$/,
    ],
    [
      "without a name",
      { inputs: [a, { ...b, name: undefined }] },
      400,
      /^inputs\[1\]\.name is missing: it must be text$/,
    ],
    [
      "of text as a dimension",
      wrong({ shape: [1, "3"] }),
      400,
      /^inputs\[0\]\.shape\[1\] must be a whole number, and is text$/,
    ],
    [
      "of a flag that is a number",
      { inputs: [a, b], outputs: [{ name: "sum", parameters: { binary_data: 1 } }] },
      400,
      /^outputs\[0\]\.parameters\.binary_data must be true or false, and is 1$/,
    ],
    [
      "of too many classes",
      { inputs: [a, b], outputs: [{ name: "sum", parameters: { classification: 1001 } }] },
      400,
      /^outputs\[0\]\.parameters\.classification must be at most 1000, and is 1001$/,
    ],
    [
      "of a list as parameters",
      wrong({ parameters: [] }),
      400,
      /^inputs\[0\]\.parameters must be an object, and is an array of 0$/,
    ],
    ["of null as inputs", { inputs: null }, 400, /^inputs must be an array, and is null$/],
    ["of a list", [], 400, /^the body is no inference request/],
  ])("%s is refused with what to fix", async (_, request, status, message) => {
    expect(await infer(server, request)).toMatchObject({
      status,
      body: { error: expect.stringMatching(message) },
    });
  });

  test.each([
    ["empty", "", /^the body is empty: send JSON$/],
    [
      "cut",
      '{"inputs": [',
      /^the body is not JSON: it ends too soon, at line 1, column 13: check that it is sent whole; /,
    ],
    ["nested deep", "[".repeat(100), /^the body is nested deeper than 16 levels$/],
    [
      "not UTF-8",
      Uint8Array.of(0x22, 0xff, 0x22),
      /^the body is not UTF-8: send JSON as UTF-8; where raw values follow the JSON, the header Inference-Header-Content-Length must be the length of the JSON$/,
    ],
    [
      "JSON and raw values without the header that says so",
      Uint8Array.of(0x7b, 0x7d, 0, 0, 0, 0),
      /^the body is not JSON: it goes on behind its end, with "\\u0000" at line 1, column 3; where raw values follow the JSON, the header Inference-Header-Content-Length must be the length of the JSON$/,
    ],
    [
      "a number beyond any",
      '{"inputs": [{"name": "a", "datatype": "FP32", "shape": [1e999], "data": []}]}',
      /^inputs\[0\]\.shape\[0\] must be a whole number, and is beyond any number$/,
    ],
  ])("whose body is %s is refused", async (_, body, message) => {
    expect(await send(server, body)).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(message) },
    });
  });

  test.each([
    ["/v2/models/other/infer", /^there is no model "other": this server has model$/],
    [
      "/v2/models/model/versions/8/infer",
      /^there is no version "8" of model: this server serves 7$/,
    ],
  ])("asked of %s is answered with 404", async (path, message) => {
    const answer = await send(server, JSON.stringify({ inputs: [a, b] }), {}, path);
    expect(answer).toMatchObject({ status: 404, body: { error: expect.stringMatching(message) } });
  });

  test("is never the server's fault, and no message has a path of the server", async () => {
    const json = fc.jsonValue({ maxDepth: 3 });
    const anyInput = fc.record(
      {
        name: fc.oneof(fc.constantFrom("a", "b", "", "__proto__"), fc.string()),
        datatype: fc.oneof(fc.constantFrom("FP32", "FP16", "BYTES", "INT64", "BOOL"), json),
        shape: fc.oneof(fc.array(fc.integer({ min: -1, max: 4 })), fc.array(fc.double()), json),
        data: fc.oneof(fc.array(fc.float()), fc.array(json), json),
        parameters: fc.oneof(
          fc.record({ binary_data_size: fc.integer({ min: -1, max: 64 }) }),
          json,
        ),
      },
      { requiredKeys: ["name", "datatype", "shape"] },
    );
    const anyRequest = fc.record(
      {
        id: json,
        inputs: fc.oneof(
          { weight: 4, arbitrary: fc.array(anyInput) },
          { weight: 1, arbitrary: json },
        ),
        outputs: fc.oneof(
          fc.array(fc.record({ name: fc.constantFrom("sum", "x"), parameters: json })),
          json,
        ),
        parameters: json,
      },
      { requiredKeys: ["inputs"] },
    );
    await fc.assert(
      fc.asyncProperty(
        anyRequest,
        fc.uint8Array({ maxLength: 64 }),
        fc.option(fc.integer({ min: -2, max: 400 })),
        fc.boolean(),
        async (request, raw, shift, cut) => {
          const text = Buffer.from(JSON.stringify(request));
          const body = Buffer.concat([cut ? text.subarray(0, text.length >> 1) : text, raw]);
          const length = shift === null ? text.length : text.length - shift;
          const answer = await send(server, body, {
            "inference-header-content-length": String(length),
          });
          expect(answer.status === 200 || (answer.status >= 400 && answer.status < 500)).toBe(true);
          if (answer.status === 200) return;
          const { error } = answer.body as { error: unknown };
          expect(error).toEqual(expect.any(String));
          expect(error).not.toMatch(/\/(tmp|app|home|root|work)\b|node_modules|\.ts\b/);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
