import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Datatype } from "../tensor/tensor.ts";
import { tensorOfNested } from "./nested.ts";

function read(value: readonly unknown[], datatype: Datatype): readonly unknown[] {
  return [...tensorOfNested(value, datatype, "input x").data];
}

describe("elements of JSON", () => {
  test.each<[Datatype, readonly unknown[], readonly unknown[]]>([
    ["BOOL", [true, false, 1, 0], [1, 0, 1, 0]],
    ["UINT8", [0, 255], [0, 255]],
    ["INT8", [-128, 127], [-128, 127]],
    ["UINT16", [0, 65_535], [0, 65_535]],
    ["INT16", [-32_768, 32_767], [-32_768, 32_767]],
    ["UINT32", [0, 4_294_967_295], [0, 4_294_967_295]],
    ["INT32", [-2_147_483_648, 2_147_483_647], [-2_147_483_648, 2_147_483_647]],
    [
      "INT64",
      [-5, "-9223372036854775808", "9007199254740993"],
      [-5n, -(2n ** 63n), 2n ** 53n + 1n],
    ],
    ["UINT64", [5, "18446744073709551615"], [5n, 2n ** 64n - 1n]],
    ["FP16", [1, -2, 0.5, 65_504], [0x3c00, 0xc000, 0x3800, 0x7bff]],
    ["FP32", [1.5, "NaN", "Infinity", "-Infinity"], [1.5, NaN, Infinity, -Infinity]],
    ["FP64", [1e300, 0.1], [1e300, 0.1]],
    ["BYTES", ["", "ü", "1"], ["", "ü", "1"]],
  ])("are read as %s: %j", (datatype, value, expected) => {
    expect(read(value, datatype)).toEqual(expected);
  });

  test.each<[Datatype, unknown, string]>([
    ["BOOL", 2, "holds a number where true or false should be"],
    ["BOOL", "true", "holds a string where true or false should be"],
    ["UINT8", 256, "holds 256, which is no UINT8"],
    ["UINT8", -1, "holds -1, which is no UINT8"],
    ["INT8", 1.5, "holds 1.5, which is no INT8"],
    ["INT32", 2 ** 31, "holds 2147483648, which is no INT32"],
    ["INT32", "1", "holds a string where a number should be"],
    ["INT64", 2 ** 53, "send all digits as text"],
    ["INT64", 0.5, "which is no whole number"],
    ["INT64", "9223372036854775808", "which is no INT64"],
    ["UINT64", "-1", "which is no UINT64"],
    ["UINT64", "0x10", "holds a string where a whole number should be"],
    ["FP16", 65_520, "holds 65520, which is beyond float16"],
    ["FP32", 1e39, "holds 1e+39, which is beyond float32"],
    ["FP64", "inf", "holds a string where a number should be"],
    ["BYTES", 1, "holds a number where text should be"],
    ["BYTES", "a\0b", "holds text with the character NUL"],
    ["BYTES", null, "holds null where text should be"],
  ])("are rejected as %s: %j", (datatype, value, message) => {
    expect(() => read([value], datatype)).toThrow(
      expect.objectContaining({
        code: "REQUEST_INVALID",
        message: expect.stringContaining(
          `input x ${message.startsWith("holds") ? message : "holds"}`,
        ),
      }),
    );
    expect(() => read([value], datatype)).toThrow(message);
  });

  test("of every 64-bit integer survive as text", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        expect(read([`${value}`], "INT64")).toEqual([value]);
      }),
    );
  });
});
