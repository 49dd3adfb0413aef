import { expect, it } from "vitest";

import { findWords } from "./words.ts";

it.each([
  ["the status is told anew", ["told", "anew"]],
  ["const toldOf = 1;", ["told"]],
  ["if (isOut(release)) return;", ["is Out"]],
  ["release 3 is out", ["is out"]],
  ["this holds no\n * matter what", ["no * matter"]],
  ["const { wish, quietUntil } = createNamer();", ["wish", "quiet Until", "Namer"]],
  ["const asked: string[] = [];", ["asked"]],
])("finds the words in %j", (text, found) => {
  expect(findWords(text).map((hit) => hit.found)).toEqual(found);
});

it.each([
  "the pod is out of the Service",
  "the request that was asked for",
  "whatever the server returns",
  "however, every seat",
])("finds nothing in %j but what is listed", (text) => {
  expect(findWords(text).filter(({ found }) => found !== "seat")).toEqual([]);
});

it("gives the line and the word to use instead", () => {
  expect(findWords("one\ntwo\nplease mend it")).toEqual([{ line: 3, found: "mend", write: "fix" }]);
});
