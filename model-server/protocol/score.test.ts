import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { ServerError } from "../errors.ts";
import { MAX_ROWS, readScoreInput, type ScoreInput } from "./score.ts";

const IMAGE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0xff, 0x00, 0xfe]);
const BASE64 = IMAGE.toString("base64");

function refusal(body: unknown): unknown {
  try {
    return readScoreInput(body);
  } catch (error) {
    return error;
  }
}

function refused(message: RegExp): unknown {
  return expect.objectContaining({
    name: "ServerError",
    code: "REQUEST_INVALID",
    status: 400,
    message: expect.stringMatching(message),
  });
}

function numbers(data: readonly number[], dims: readonly number[]): ScoreInput {
  return { kind: "tensor", tensor: { datatype: "FP32", data: Float32Array.from(data), dims } };
}

function nested(depth: number, inside: unknown = 1): unknown {
  return Array.from({ length: depth }).reduce((value: unknown) => [value], inside);
}

describe("images", () => {
  const expected = { kind: "images", images: [IMAGE] };

  test.each([
    ["in the tutorial's form, an array wrapped in a string", { input: `["${BASE64}"]` }],
    ["in a plain array", { input: [BASE64] }],
    ["without an input around them", [BASE64]],
    ["in the alphabet for URLs", { input: [Buffer.from(IMAGE).toString("base64url")] }],
    ["as data URLs", { input: [`data:image/png;base64,${BASE64}`] }],
    ["as data URLs in capitals", { input: [`DATA:image/png;BASE64,${BASE64}`] }],
    [
      "wrapped at 4 characters as base64 programs do",
      { input: [BASE64.replace(/.{4}/g, "$&\r\n")] },
    ],
    ["beside fields that we do not know", { input: [BASE64], session: 7 }],
  ])("come %s", (_, body) => {
    expect(readScoreInput(body)).toEqual(expected);
  });

  test("keep their order", () => {
    const texts = ["one", "two", "three"];
    const input = texts.map((text) => Buffer.from(text).toString("base64"));
    expect(readScoreInput({ input })).toEqual({
      kind: "images",
      images: texts.map((text) => Buffer.from(text)),
    });
  });

  test.each([
    ["an empty string", [""]],
    ["a path", ["/tmp/seven.png:1"]],
    ["base64 with a character that is none", ["-_-*"]],
    ["base64 with a bad end", [`${BASE64}===`]],
    ["a data URL that never begins", ["data:image/png;base64"]],
  ])("that are %s are refused by their place", (_, input) => {
    expect(refusal({ input: [BASE64, ...input] })).toEqual(
      refused(/^input\[1\] is not base64 of an image$/),
    );
  });

  test.each([
    ["numbers", 1],
    ["null", null],
    ["arrays", [1]],
  ])("mixed with %s are refused", (_, other) => {
    expect(refusal({ input: [BASE64, BASE64, other] })).toEqual(
      refused(/^input\[2\] is no string: do not mix images and numbers$/),
    );
    expect(refusal({ input: [other, BASE64] })).toEqual(refused(/^input (is ragged|holds)/));
  });

  test("of many megabytes are read", () => {
    const image = Buffer.alloc(24_000_000, 7);
    const input = readScoreInput([image.toString("base64")]);
    expect(input.kind === "images" && image.equals(input.images[0] ?? IMAGE)).toBe(true);
  });
});

describe("numbers", () => {
  test.each([
    ["a row each", [1, -2.5, 0], numbers([1, -2.5, 0], [3])],
    [
      "rows",
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      numbers([1, 2, 3, 4, 5, 6], [2, 3]),
    ],
    [
      "images of their own",
      [
        [
          [
            [1, 2],
            [3, 4],
          ],
        ],
      ],
      numbers([1, 2, 3, 4], [1, 1, 2, 2]),
    ],
    ["nested eight deep", nested(8), numbers([1], [1, 1, 1, 1, 1, 1, 1, 1])],
    [
      "the smallest and greatest of float32",
      [3.4028234663852886e38, 1e-45],
      numbers([3.4028234663852886e38, 1e-45], [2]),
    ],
  ])("are read as %s", (_, input, expected) => {
    expect(readScoreInput({ input })).toEqual(expected);
    expect(readScoreInput({ input: JSON.stringify(input) })).toEqual(expected);
    expect(readScoreInput(input)).toEqual(expected);
  });

  test("of any shape come out flat, row by row", () => {
    const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(shapes, (dims) => {
        let count = 0;
        const build = ([dim, ...rest]: readonly number[]): unknown =>
          dim === undefined ? count++ : Array.from({ length: dim }, () => build(rest));
        const input = build(dims);
        expect(readScoreInput({ input })).toEqual(numbers([...Array(count).keys()], dims));
      }),
      { numRuns: 50 },
    );
  });

  test.each([
    ["a shorter row", [[1, 2], [3]]],
    ["a longer row", [[1], [2, 3]]],
    ["a row that is none", [[1], 2]],
    ["an empty row", [[1], []]],
    [
      "a row deep inside",
      [
        [
          [1, 2],
          [3, 4],
        ],
        [[5, 6], [7]],
      ],
    ],
    ["null in the place of a row", [[1], null]],
    ["text in the place of a row", [[1], "ab"]],
    ["a row with fields", [[1], { length: 1 }]],
  ])("with %s are refused as ragged, with the shape that was begun", (_, input) => {
    expect(refusal({ input })).toEqual(
      refused(/^input is ragged: every row needs the same shape, here \[[\d, ]+\]$/),
    );
  });

  test("that claim a shape larger than any memory are refused as ragged", () => {
    const row = (first: unknown): unknown => [first, ...Array<number>(60_000).fill(1)];
    expect(refusal([row(row(row(row(1))))])).toEqual(refused(/^input is ragged/));
  });

  test.each([
    ["null", [[1, null]], "null"],
    ["text", [[1, "2"]], "a string"],
    ["a truth", [true], "a boolean"],
    ["an object", [[{}]], "an object"],
    ["an array that the first has not", [[1, [2]]], "an array"],
  ])("with %s among them are refused", (_, input, what) => {
    expect(refusal({ input })).toEqual(
      refused(new RegExp(`^input holds ${what} where a number should be$`)),
    );
  });

  test("that float32 cannot hold are refused: the model would answer what is no number", () => {
    expect(refusal(JSON.parse("[[1, 1e39]]"))).toEqual(
      refused(/^input holds 1e\+39, which is beyond float32$/),
    );
    expect(refusal(JSON.parse("[[-1e999]]"))).toEqual(
      refused(/^input holds -Infinity, which is beyond float32$/),
    );
  });

  test.each([9, 100_000])("nested %i deep are refused", (depth) => {
    const deep = "[".repeat(depth) + "]".repeat(depth);
    const tooDeep = refused(/^input is nested deeper than 8 levels$/);
    expect(refusal(JSON.parse(deep))).toEqual(tooDeep);
    expect(refusal({ input: deep })).toEqual(tooDeep);
    // Where only a later row is too deep, the first has said the shape.
    expect(refusal([[1], [JSON.parse(deep)]])).toEqual(refused(/^input holds an array/));
  });
});

describe("a string that holds more than a request needs", () => {
  test("is refused before it is parsed, as a body would be", () => {
    expect(refusal({ input: `[${"{},".repeat(20_000)}{}]` })).toEqual(
      refused(/^input has more than 10000 objects and fields: send fewer rows at once$/),
    );
  });
});

describe("the number of rows", () => {
  test.each([
    ["numbers", 1],
    ["images", BASE64],
  ])("of %s may be 1024", (_, row) => {
    const rows = Array(MAX_ROWS).fill(row);
    expect(readScoreInput({ input: rows })).not.toBeInstanceOf(Error);
    expect(refusal({ input: [...rows, row] })).toEqual(
      refused(/^1025 rows at once are too many: send at most 1024$/),
    );
  });
});

describe("a body of another form is rejected, with the right form in the message", () => {
  const form = /send \{"input": \["<base64 of an image>"/;

  test.each([undefined, null, 7, "text", {}, { inputs: [1] }, { input: 7 }, { input: null }])(
    "%j",
    (body) => {
      expect(refusal(body)).toEqual(refused(/^the body is not a valid request: /));
      expect(refusal(body)).toEqual(refused(form));
    },
  );

  test.each(['"aGk="', "{}", "7", "null"])("a string of JSON that is no array: %s", (input) => {
    expect(refusal({ input })).toEqual(refused(/^input is a string that holds no array: /));
  });

  test.each([BASE64, "", "[1", "[1,]"])("a string that is not JSON: %s", (input) => {
    expect(refusal({ input })).toEqual(refused(/^input is a string that is not JSON: /));
  });

  test.each([[[]], [{ input: [] }], [{ input: "[]" }]])("nothing at all: %j", (body) => {
    expect(refusal(body)).toEqual(refused(/^the body has no rows: /));
    expect(refusal(body)).toEqual(refused(form));
  });
});

/** Whether a body was read as a whole or refused as it should be; else what went wrong. */
function outcome(body: unknown): unknown {
  try {
    const input = readScoreInput(body);
    if (input.kind === "images")
      return input.images.length > 0 ? "read" : "read, but there is no image";
    if (input.kind === "tensors") return "read, but no input has a name";
    const { dims, data } = input.tensor;
    const size = dims.reduce((product, dim) => product * dim, 1);
    return size === data.length && Array.from(data, Number).every(Number.isFinite) ? "read" : input;
  } catch (error) {
    const right = error instanceof ServerError && error.status === 400 && error.message !== "";
    return right ? "refused" : error;
  }
}

describe("whatever comes", () => {
  const wrapped = fc.jsonValue().map((value) => ({ input: JSON.stringify(value) }));
  const plain = fc.jsonValue().map((value) => ({ input: value }));
  const { nearMiss } = fc.letrec<{ nearMiss: unknown }>((tie) => ({
    nearMiss: fc.oneof(
      { maxDepth: 10, depthSize: "small" },
      fc.constantFrom(0, 1.5, -1e300, null, true, "", BASE64, "data:,", "[[1]]"),
      fc.array(tie("nearMiss"), { maxLength: 3 }),
      fc.record({ input: tie("nearMiss") }),
    ),
  }));

  test("is read as a whole or refused with 400, and nothing else", () => {
    const seen = new Set<unknown>();
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), wrapped, plain, nearMiss), (body) => {
        const result = outcome(body);
        seen.add(result);
        expect(["read", "refused"]).toContain(result);
      }),
      { numRuns: 2000 },
    );
    expect(seen).toEqual(new Set(["read", "refused"]));
  });
});
