import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { expect, it } from "vitest";

import { generatedFiles } from "./generate.ts";

const root = join(import.meta.dirname, "..");

it.each(generatedFiles())(
  "$path is what the schema generates: run npm run generate",
  async ({ path, text }) => {
    expect(await readFile(join(root, path), "utf8")).toBe(text);
  },
);

it("generates every resource definition in the chart's files, all of which the chart installs", async () => {
  const folder = "charts/aiapp-operator/files";
  const generated = generatedFiles().map(({ path }) => path);
  const found = (await readdir(join(root, folder)))
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => `${folder}/${name}`);
  expect(found.toSorted()).toEqual(generated.filter((path) => path.startsWith(folder)).toSorted());
});
