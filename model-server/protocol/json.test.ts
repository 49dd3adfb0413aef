import { describe, expect, test } from "vitest";

import { ServerError } from "../errors.ts";
import { checkJson } from "./json.ts";

function refusal(text: string): string {
  try {
    checkJson(Buffer.from(text), "the body");
    return "taken";
  } catch (error) {
    return error instanceof ServerError ? `${error.code}: ${error.message}` : String(error);
  }
}

function nested(depth: number): string {
  return "[".repeat(depth) + "]".repeat(depth);
}

describe("JSON that would become more than a request needs", () => {
  test.each([
    ["arrays in arrays", nested(17)],
    ["arrays that never end", "[".repeat(1_000_000)],
    ["objects in objects", '{"a":'.repeat(17)],
    ["a deep row after a shallow one", `[1, ${nested(16)}]`],
    ["arrays after text with quotes and backslashes", `{"a \\" \\\\": ${nested(16)}}`],
  ])("is refused for its depth: %s", (_, text) => {
    expect(refusal(text)).toBe("REQUEST_INVALID: the body is nested deeper than 16 levels");
  });

  test.each([
    ["empty objects", `[${"{},".repeat(20_000)}{}]`, "10000 objects and fields"],
    ["fields", `{${'"a":1,'.repeat(20_000)}"b":1}`, "10000 objects and fields"],
    ["empty arrays", `[${"[],".repeat(1_500_000)}[]]`, "1500000 arrays"],
    ["numbers", `[${"1,".repeat(5_000_001)}1]`, "5000000 values"],
  ])("is refused for its number of %s", (_, text, limit) => {
    expect(refusal(text)).toBe(
      `REQUEST_INVALID: the body has more than ${limit}: send fewer rows at once`,
    );
  });
});

describe("JSON that a request may be is taken", () => {
  const row = `[${"0,".repeat(223)}0]`;
  const pixels = `[${"[1,2,3],".repeat(223)}[1,2,3]]`;
  test.each([
    ["4 million numbers in rows", `[${`${row},`.repeat(17_999)}${row}]`],
    ["4 million numbers, three channels a pixel", `[${`${pixels},`.repeat(5_999)}${pixels}]`],
    ["arrays sixteen deep", nested(16)],
    ["text of what is JSON's own", `["${'[{:,\\"'.repeat(2_000_000)}"]`],
    ["text that ends in a backslash", String.raw`["\\", "[[[[[[[[[[[[[[[[[["]`],
    ["what is no JSON, for the parser to refuse", '{"input": [[ "'],
  ])("%s", (_, text) => {
    expect(refusal(text)).toBe("taken");
  });
});
