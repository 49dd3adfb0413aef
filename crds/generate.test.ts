import { readFile } from "node:fs/promises";

import { expect, it } from "vitest";

import { crdYaml, generatedFiles } from "./generate.ts";

it.each(generatedFiles)("%s is what the schema generates: run npm run generate", async (file) => {
  expect(await readFile(file, "utf8")).toBe(crdYaml());
});
