import { allowedDifference, type Sample } from "../../crds/samples.ts";
import { excerpt } from "./excerpt.ts";

/**
 * The first difference between a response and what a sample expects, in words; undefined when there is none.
 * Numbers may differ as far as the sample's tolerance allows; arrays have the same length and order; of an object, only the fields
 * that the sample names are compared, so that a server may add times and versions.
 */
export function findDifference(
  response: unknown,
  { expected, tolerance }: Pick<Sample, "expected" | "tolerance">,
): string | undefined {
  const scores = scoresOf(response);
  if (scores === undefined) return differenceAt("response", response, expected, tolerance);
  return differenceAt(
    "result[0]",
    scores.value,
    (scoresOf(expected) ?? { value: expected }).value,
    tolerance,
  );
}

/** What stands before the time in `{"result": [scores, "Computed in … ms"]}`. */
function scoresOf(response: unknown): { readonly value: unknown } | undefined {
  if (!isObject(response) || !Array.isArray(response["result"])) return undefined;
  const [value, time, ...others]: readonly unknown[] = response["result"];
  const isTimed = typeof time === "string" && time.startsWith("Computed in ");
  return isTimed && others.length === 0 ? { value } : undefined;
}

/** Goes no deeper than `expected`, whose depth is bounded. */
function differenceAt(
  path: string,
  actual: unknown,
  expected: unknown,
  tolerance: number,
): string | undefined {
  if (typeof actual === "number" && typeof expected === "number") {
    const allowed = allowedDifference(actual, expected, tolerance);
    if (Math.abs(actual - expected) <= allowed) return undefined;
    const range = allowed === 0 ? "" : ` ± ${Number(allowed.toPrecision(3))}`;
    return `${path}: expected ${expected}${range}, got ${actual}`;
  }
  if (Array.isArray(actual) && Array.isArray(expected) && actual.length === expected.length)
    return firstDifference(expected.keys(), (index) =>
      differenceAt(`${path}[${index}]`, actual[index], expected[index], tolerance),
    );
  if (isObject(actual) && isObject(expected))
    return firstDifference(Object.keys(expected), (key) =>
      differenceAt(fieldPath(path, key), fieldOf(actual, key), expected[key], tolerance),
    );
  if (actual === expected) return undefined;
  return `${path}: expected ${describe(expected)}, got ${describe(actual)}`;
}

function firstDifference<Key>(
  keys: Iterable<Key>,
  find: (key: Key) => string | undefined,
): string | undefined {
  for (const key of keys) {
    const difference = find(key);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Not `constructor` and the like, which every object inherits. */
function fieldOf(object: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function fieldPath(path: string, key: string): string {
  return /^[A-Za-z_]\w{0,99}$/.test(key)
    ? `${path}.${key}`
    : `${path}[${JSON.stringify(excerpt(key, 100))}]`;
}

/** Short, however large the value is. */
function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "string") return JSON.stringify(excerpt(value, 100));
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (isObject(value)) return "an object";
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}
