import { readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, it } from "vitest";

import { mistakes } from "./mistakes.ts";

const root = join(import.meta.dirname, "..", "..");

function textOf(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

it.each(mistakes)("the mistake can still be made: $name", ({ file, from, to }) => {
  expect(textOf(file).split(from)).toHaveLength(2);
  expect(to).not.toBe(from);
});

it("docs/decisions/0019 lists these mistakes, and no others", () => {
  const page = textOf("docs/decisions/0019-known-mistakes.md");
  const rows = [...page.matchAll(/^\| (.+?) +\| .+\|$/gm)].map(([, name = ""]) => name);
  const listed = rows.filter((name) => name !== "mistake" && !name.startsWith("---"));
  expect(listed.toSorted()).toEqual(mistakes.map(({ name }) => name).toSorted());
});
