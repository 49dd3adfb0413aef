import type { z } from "zod";

/** What is wrong with the first field of a request that does not fit, in a sentence that says what to send. */

type Issue = z.core.$ZodIssue;

const MAX_PATH = 200;

/** @param body that was checked */
export function describeIssue(issue: Issue, body: unknown): string {
  const value = issue.path.reduce<unknown>(fieldOf, body);
  const name = nameOf(issue.path);
  if (value === undefined) return `${name} is missing: it must be ${expectedOf(issue)}`;
  // As a reader that keeps all digits gives it.
  if (typeof value === "bigint" && expectedOf(issue) === types["int"])
    return `${name} is ${value}, which is beyond 2^53`;
  const hint = isAnySize(issue, value) ? ": send the size that the values have" : "";
  return `${name} must be ${expectedOf(issue)}, and is ${describeValue(value)}${hint}`;
}

function fieldOf(value: unknown, key: PropertyKey): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<PropertyKey, unknown>>)[key]
    : undefined;
}

/** Such as `inputs[0].shape[1]`. */
function nameOf(path: readonly PropertyKey[]): string {
  return path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`))
    .join("")
    .replace(/^\./, "")
    .slice(0, MAX_PATH);
}

const types: Readonly<Record<string, string>> = {
  string: "text",
  boolean: "true or false",
  array: "an array",
  object: "an object",
  int: "a whole number",
  number: "a whole number",
};

function expectedOf(issue: Issue): string {
  if (issue.code === "invalid_type") return types[issue.expected] ?? "of another type";
  if (issue.code === "too_small") return `${issue.minimum} or more`;
  if (issue.code !== "too_big") return "of another form";
  return issue.origin === "array"
    ? `an array of at most ${issue.maximum} elements`
    : `at most ${issue.maximum}`;
}

/** -1 stands for any size in metadata. */
function isAnySize({ code, path }: Issue, value: unknown): boolean {
  return code === "too_small" && path.at(-2) === "shape" && value === -1;
}

function describeValue(value: unknown): string {
  if (value === null) return "null";
  // JSON has none, and reads a number beyond all as one.
  if (value === Infinity || value === -Infinity) return "beyond any number";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "string") return "text";
  if (typeof value === "object") return "an object";
  return typeof value === "bigint" ? `${value}` : JSON.stringify(value);
}
