import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

import { conditionTypes } from "../../crds/conditions.ts";
import type { Phase } from "../../crds/aiapp/status.ts";
import {
  annotations,
  FREEZE_PLURAL,
  GROUP,
  labels,
  PLURAL,
  POLICY_PLURAL,
} from "../../crds/names.ts";
import {
  conditionsOf,
  digestOf,
  World,
  type SpecInput,
} from "../../operator/aiapp/observed.testing.ts";

const root = join(import.meta.dirname, "../..");

/** The pages, each with the plural name of its resource. */
const pages = {
  "aiapp.md": PLURAL,
  "aiappreleasefreeze.md": FREEZE_PLURAL,
  "aiappsourcepolicy.md": POLICY_PLURAL,
} as const;
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
  /** Of a quantity, which has no type. */
  pattern: z.string().optional(),
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
  return schema.type ?? (schema.pattern === undefined ? "unknown" : "string or number");
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
  ["aiappsourcepolicy.md", "spec"],
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

it.each<Page>(["aiapp.md", "aiappreleasefreeze.md", "aiappsourcepolicy.md"])(
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

/** What kstatus makes of the conditions: Reconciling before Stalled before Ready. */
function kstatusOf(on: World): "InProgress" | "Failed" | "Current" {
  const { Reconciling, Stalled, Ready } = conditionsOf(on.plan());
  if (Reconciling !== undefined) return "InProgress";
  if (Stalled !== undefined) return "Failed";
  return Ready === "True Serving" ? "Current" : "InProgress";
}

type Change = "spec" | "polling";

/** Release 1 serves, and release 2 comes by a change of the spec, or because polling finds it. */
function changing(by: Change, spec: SpecInput = {}): World {
  const on = new World({ verify: {}, modelVersion: by === "spec" ? "1" : "latest" });
  on.poll().converge();
  on.change(spec);
  on.poll().converge();
  if (by === "spec") on.change({ modelVersion: "2" });
  on.publish({ version: "2", model: digestOf("model 2") });
  return on.poll();
}

const worlds: Readonly<Record<string, (by: Change) => World>> = {
  Settling: (by) => settled(changing(by, { release: { settle: "1h" } })),
  Verifying: (by) => settled(changing(by)),
  AwaitingApproval: (by) => changing(by, { release: { approval: "Manual" } }).converge(),
  RollingOut: (by) => settled(changing(by, { verify: { enabled: false } })),
  Released: (by) => changing(by).converge(),
  Failed(by) {
    const on = changing(by);
    on.judge = () => "VerificationFailed: wrong";
    return on.converge();
  },
};

/** After one reconcile: the candidate has begun. */
function settled(on: World): World {
  on.reconcile();
  return on;
}

describe("the table of what kstatus reports", () => {
  const table = textOf("aiapp.md").split("\n### What kstatus reports in each phase\n")[1] ?? "";
  const rows = new Map(
    [...table.matchAll(/^\| (.+?) +\| (\w+) +\| (\w+) +\|$/gm)].flatMap(
      ([, first = "", spec, polling]) =>
        first.split(", ").map((phase) => [phase.replaceAll("`", ""), { spec, polling }] as const),
    ),
  );

  it.each(
    Object.entries(worlds).flatMap(([phase, make]) =>
      (["spec", "polling"] as const).map((by) => ({ phase: phase as Phase, by, make })),
    ),
  )("is right for $phase by $by", ({ phase, by, make }) => {
    const on = make(by);
    const newest = on.record(({ modelVersion }) => modelVersion === "2");
    expect(newest.journal.at(-1)?.phase).toBe(phase);
    expect(conditionsOf(on.plan())).toMatchObject({ Ready: "True Serving" });
    expect(kstatusOf(on)).toBe(rows.get(phase)?.[by]);
  });

  it.each(["spec", "polling"] as const)("is right for a hold after a change by %s", (by) => {
    const on = changing(by).converge();
    const first = on.record(({ modelVersion }) => modelVersion === "1").id;
    on.annotate(annotations.hold, first).converge();
    expect(on.app.status?.current?.id).toBe(first);
    expect(kstatusOf(on)).toBe(rows.get("held")?.[by]);
    on.annotate(annotations.hold, "0123456789").converge();
    expect(kstatusOf(on)).toBe(rows.get("HoldInvalid")?.[by]);
  });
});
