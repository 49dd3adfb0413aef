import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { ServerError } from "../errors.ts";
import { checkParts } from "./json-parts.ts";

function refusal(text: string, maxDepth?: number): string {
  try {
    checkParts(text, "the body", maxDepth);
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

/** As `checkParts`, character by character, of text that is not large. */
function deepest(text: string): number {
  let [depth, most] = [0, 0];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? "";
    if (character === '"')
      for (at += 1; at < text.length && text[at] !== '"'; at += 1) at += text[at] === "\\" ? 1 : 0;
    else if ("[{".includes(character)) depth += 1;
    else if ("]}".includes(character)) depth -= 1;
    most = Math.max(most, depth);
  }
  return most;
}

test("numbers and texts of any length between brackets do not hide any of them", () => {
  const part = fc.oneof(
    fc.constantFrom("[", "[", "[", "{", "]", "}", '"', "\\", '\\"', ":", ",", " ", "é"),
    fc.integer({ min: 0, max: 80 }).map((length) => "1".repeat(length)),
    fc.integer({ min: 0, max: 80 }).map((length) => `"${"[".repeat(length)}"`),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
      const text = parts.join("");
      const depth = deepest(text);
      expect(refusal(text, depth)).toBe("taken");
      fc.pre(depth > 0);
      expect(refusal(text, depth - 1)).toMatch(/nested deeper than/);
    }),
    { numRuns: 2000 },
  );
});
