import { describe, expect, test } from "vitest";

import { safeJson, sanitize, sanitizeLine, wantsColours } from "./terminal.ts";

describe("text from elsewhere", () => {
  test.each([
    ["an escape sequence", "\u001b[2J"],
    ["a window title", "\u001b]0;owned\u0007"],
    ["a carriage return", "bad\rgood"],
    ["a backspace", "bad\b\b\b"],
    ["a one-byte control sequence introducer", "\u009b2J"],
    ["a right-to-left override", "\u202egnp.exe"],
    ["an isolate", "\u2066a\u2069"],
    ["a direction mark", "a\u200fb\u061c"],
    ["a line separator", "a\u2028b"],
  ])("cannot drive the terminal with %s", (_what, text) => {
    for (const clean of [sanitize(text), sanitizeLine(text), safeJson(text)]) {
      // eslint-disable-next-line no-control-regex
      expect(clean).not.toMatch(/[\u0000-\u001f\u007f-\u009f]|\p{Bidi_Control}|[\u2028\u2029]/u);
    }
    expect(JSON.parse(safeJson(text))).toBe(text);
  });

  test("keeps its line breaks, its accents and other scripts", () => {
    expect(sanitize("a\nb\té 猫 שלום")).toBe("a\nb\té 猫 שלום");
    expect(sanitizeLine("a\nb\té")).toBe("a b é");
  });
});

test.each([
  [true, {}, true],
  [false, {}, false],
  [true, { NO_COLOR: "1" }, false],
  [true, { NO_COLOR: "" }, true],
  [true, { TERM: "dumb" }, false],
])("colours on a terminal (%s) with %j: %s", (isTTY, env, colours) => {
  expect(wantsColours(isTTY, env)).toBe(colours);
});
