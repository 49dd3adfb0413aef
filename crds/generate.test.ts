import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { expect, it } from "vitest";
import { parse } from "yaml";

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

const resourceDefinitions = generatedFiles().filter(({ path }) => path.endsWith(".yaml"));

it.each(resourceDefinitions)(
  "$path means the same in YAML 1.1, as Kubernetes reads it",
  ({ text }) => {
    expect(parse(text, { version: "1.1" })).toEqual(parse(text));
  },
);

it.each(resourceDefinitions)("$path names nothing that needs quotes in YAML 1.1", ({ text }) => {
  const words = specsOf(parse(text) as Definition).flatMap(wordsIn);
  expect(words).not.toEqual([]);
  expect(words.filter((word) => typeof parse(word, { version: "1.1" }) !== "string")).toEqual([]);
});

interface Definition {
  readonly spec: {
    readonly versions: readonly {
      readonly schema: {
        readonly openAPIV3Schema: { readonly properties: { readonly spec: unknown } };
      };
    }[];
  };
}

/** What users write. */
function specsOf({ spec: { versions } }: Definition): readonly unknown[] {
  return versions.map(({ schema }) => schema.openAPIV3Schema.properties.spec);
}

/** The names of all fields, and the texts that enums allow. */
function wordsIn(schema: unknown): readonly string[] {
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([key, value]) => {
    if (key === "enum" && Array.isArray(value))
      return value.filter((one) => typeof one === "string" && one !== "");
    return [...(key === "properties" ? Object.keys(value as object) : []), ...wordsIn(value)];
  });
}
