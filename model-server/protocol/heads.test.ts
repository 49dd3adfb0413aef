import { expect, test } from "vitest";

import { rememberHeads } from "./heads.ts";

/** Reads JSON, and counts how often. */
function counting(): { readonly read: (text: string) => unknown; readonly reads: () => number } {
  let reads = 0;
  const remembered = rememberHeads((head) => {
    reads += 1;
    return JSON.parse(head.toString("utf8")) as unknown;
  });
  return { read: (text) => remembered(Buffer.from(text)), reads: () => reads };
}

test("a head that came before is not read again", () => {
  const { read, reads } = counting();
  expect([read('{"a": "é"}'), read('{"a": "é"}')]).toEqual([{ a: "é" }, { a: "é" }]);
  expect(reads()).toBe(1);
});

test("heads that differ in one byte are two", () => {
  const { read, reads } = counting();
  expect([read('{"a": 1}'), read('{"a": 2}'), read('{"a": 1}')]).toEqual([
    { a: 1 },
    { a: 2 },
    { a: 1 },
  ]);
  expect(reads()).toBe(2);
});

test("only the last few heads are remembered, and no large ones", () => {
  const { read, reads } = counting();
  for (let client = 0; client < 17; client += 1) read(`{"client": ${client}}`);
  read('{"client": 16}');
  expect(reads()).toBe(17);
  read('{"client": 0}');
  expect(reads()).toBe(18);
  const large = JSON.stringify({ a: "x".repeat(3000) });
  read(large);
  read(large);
  expect(reads()).toBe(20);
});

test("a head that cannot be read is rejected each time", () => {
  const { read } = counting();
  expect(() => read("{")).toThrow(SyntaxError);
  expect(() => read("{")).toThrow(SyntaxError);
});
