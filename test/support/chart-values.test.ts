import { readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

/** The chart's values and their schema, held to each other. Helm itself checks values.yaml with the schema. */

const chart = join(import.meta.dirname, "../../charts/aiapp-operator");

const Schema = z.looseObject({
  properties: z.record(z.string(), z.unknown()).optional(),
  additionalProperties: z.unknown().optional(),
});

/** `metrics.secure` of each property that the schema declares, down to those that have none of their own. */
function declared(schema: unknown, path: readonly string[] = []): readonly string[] {
  const { properties } = Schema.parse(schema);
  if (properties === undefined) return [path.join(".")];
  return Object.entries(properties).flatMap(([name, value]) => declared(value, [...path, name]));
}

/** Objects of the schema that would accept any name, and so a misspelt one. */
function open(schema: unknown, path: readonly string[] = []): readonly string[] {
  const { properties, additionalProperties } = Schema.parse(schema);
  if (properties === undefined) return [];
  const own = additionalProperties === false ? [] : [path.join(".")];
  const inner = Object.entries(properties).flatMap(([name, value]) => open(value, [...path, name]));
  return [...own, ...inner];
}

function has(values: unknown, path: readonly string[]): boolean {
  const [name, ...rest] = path;
  if (name === undefined) return true;
  return (
    typeof values === "object" &&
    values !== null &&
    name in values &&
    has(Reflect.get(values, name), rest)
  );
}

const schema: unknown = JSON.parse(readFileSync(join(chart, "values.schema.json"), "utf8"));
const values: unknown = parse(readFileSync(join(chart, "values.yaml"), "utf8"));

it("the chart's schema declares no value that values.yaml does not show", () => {
  // Helm passes global to every chart.
  const missing = declared(schema).filter(
    (path) => path !== "global" && !has(values, path.split(".")),
  );
  expect(missing).toEqual([]);
});

it("the chart's schema refuses a value that it does not declare, at every level", () => {
  expect(open(schema)).toEqual([]);
});
