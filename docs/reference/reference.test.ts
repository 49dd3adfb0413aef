import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

import { conditionTypes } from "../../crds/conditions.ts";
import { annotations, FREEZE_PLURAL, GROUP, labels, PLURAL } from "../../crds/names.ts";

const root = join(import.meta.dirname, "../..");

/** The pages, each with the plural name of its resource. */
const pages = { "aiapp.md": PLURAL, "aiappreleasefreeze.md": FREEZE_PLURAL } as const;
type Page = keyof typeof pages;

function textOf(page: Page): string {
  return readFileSync(join(root, "docs/reference", page), "utf8");
}

/** The parts of an OpenAPI schema that define fields, their types and their defaults. */
const Schema = z.object({
  type: z.string().optional(),
  default: z.unknown().optional(),
  required: z.array(z.string()).default([]),
  "x-kubernetes-int-or-string": z.boolean().default(false),
  get properties() {
    return z.record(z.string(), Schema).default({});
  },
  get items() {
    return Schema.optional();
  },
  get additionalProperties() {
    return Schema.optional();
  },
});
type Schema = z.infer<typeof Schema>;

const Crd = z.object({
  spec: z.object({
    versions: z.tuple([z.object({ schema: z.object({ openAPIV3Schema: Schema }) })]),
  }),
});

interface Field {
  readonly type: string;
  /** The default, as the page formats it. */
  readonly fallback: string;
}

/** The type, as the page formats it. */
function typeOf(schema: Schema): string {
  if (schema["x-kubernetes-int-or-string"]) return "string or integer";
  if (schema.items !== undefined) return `list of ${typeOf(schema.items)}`;
  if (schema.additionalProperties !== undefined)
    return `map of ${typeOf(schema.additionalProperties)}`;
  return schema.type ?? "unknown";
}

function fallbackOf(schema: Schema, required: boolean): string {
  if (required) return "required";
  const { default: value } = schema;
  if (value === undefined) return "";
  return `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}

/** Every field below a schema by its path: `spec.model.files[].name`. */
function* fieldsOf(schema: Schema, path: string): Generator<readonly [string, Field]> {
  for (const [name, child] of Object.entries(schema.properties)) {
    const at = `${path}.${name}`;
    const required = schema.required.includes(name);
    yield [at, { type: typeOf(child), fallback: fallbackOf(child, required) }];
    yield* fieldsOf(child, at);
    if (child.items !== undefined) yield* fieldsOf(child.items, `${at}[]`);
  }
}

function crdFields(page: Page, half: "spec" | "status"): ReadonlyMap<string, Field> {
  const text = readFileSync(join(root, `crds/generated/${pages[page]}.${GROUP}.yaml`), "utf8");
  const [version] = Crd.parse(parse(text)).spec.versions;
  const schema = version.schema.openAPIV3Schema.properties[half];
  if (schema === undefined) throw new TypeError(`the CRD has no ${half}`);
  return new Map(fieldsOf(schema, half));
}

/** `a.{b,c}.d` as a.b.d and a.c.d. */
function expand(path: string): readonly string[] {
  const braces = /\{([^{}]*)\}/.exec(path);
  if (braces === null) return [path];
  const [whole, inside = ""] = braces;
  return inside.split(",").flatMap((one) => expand(path.replace(whole, one)));
}

/** Rows of all tables whose first cell is a field of the given half: its paths, and the cells after it. */
function rowsOf(
  page: Page,
  half: "spec" | "status",
): readonly (readonly [string, readonly string[]])[] {
  return [...textOf(page).matchAll(/^\| `([^`]+)` +\|(.*)\|$/gm)]
    .filter(([, path]) => path?.startsWith(`${half}.`))
    .flatMap(([, path = "", rest = ""]) => {
      const cells = rest.split("|").map((cell) => cell.trim());
      return expand(path).map((one) => [one, cells] as const);
    });
}

describe.each<[Page, "spec" | "status"]>([
  ["aiapp.md", "spec"],
  ["aiapp.md", "status"],
  ["aiappreleasefreeze.md", "spec"],
])("docs/reference/%s, %s", (page, half) => {
  const fields = crdFields(page, half);
  const rows = rowsOf(page, half);

  it("describes every field of the CRD", () => {
    const documented = new Set(rows.map(([path]) => path));
    expect([...fields.keys()].filter((path) => !documented.has(path))).toEqual([]);
  });

  it("describes each field once, and none that the CRD lacks", () => {
    const paths = rows.map(([path]) => path);
    expect(paths.filter((path, index) => paths.indexOf(path) !== index)).toEqual([]);
    expect(paths.filter((path) => !fields.has(path))).toEqual([]);
  });

  it("has the type of each field", () => {
    const types = (of: (path: string, documented: string) => string): unknown =>
      Object.fromEntries(rows.map(([path, [documented = ""]]) => [path, of(path, documented)]));
    expect(types((_, documented) => documented)).toEqual(
      types((path) => fields.get(path)?.type ?? ""),
    );
  });

  it("has a description of each field", () => {
    const silent = rows.filter(([, cells]) => (cells.at(-1) ?? "").length < 5);
    expect(silent.map(([path]) => path)).toEqual([]);
  });
});

it.each<Page>(["aiapp.md", "aiappreleasefreeze.md"])(
  "docs/reference/%s has the defaults of the CRD, and states which fields are required",
  (page) => {
    const fields = crdFields(page, "spec");
    const rows = rowsOf(page, "spec");
    const documented = Object.fromEntries(rows.map(([path, [, fallback]]) => [path, fallback]));
    const real = Object.fromEntries(rows.map(([path]) => [path, fields.get(path)?.fallback]));
    expect(documented).toEqual(real);
  },
);

describe("docs/reference/aiapp.md", () => {
  it("describes every condition type, annotation and label", () => {
    const names = [...conditionTypes, ...Object.values(annotations), ...Object.values(labels)];
    const page = textOf("aiapp.md");
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});
