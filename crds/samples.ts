import { z } from "zod";

/** The samples of a bundle: `samples/*.json`, in the order of their names. */
export const SAMPLES_FOLDER = "samples";

/** More than any request has: what reads a sample may recurse. */
const MAX_DEPTH = 64;

/** What JSON.parse gives, unless it is nested too deep or has a number too large for JSON. */
const JsonValue = z.unknown().superRefine((value, context) => {
  const problem = problemOf(value);
  if (problem !== undefined) context.addIssue(problem);
});

/** A request with the response that the model gave where it was trained. */
export const Sample = z.strictObject({
  /** The body of a request. */
  request: JsonValue,
  /** Of a response in the form `{"result": [scores, "Computed in … ms"]}`: the scores. Of another form: all of it. */
  expected: JsonValue,
  /** How far each number of the response may be from the expected one: see `allowedDifference`. */
  tolerance: z.number().min(0).default(0.01),
});
export type Sample = z.infer<typeof Sample>;

/** Numbers up to this may differ by the tolerance itself: percentages are among them. */
const ABSOLUTE_UP_TO = 100;
/** From here on most results of 32 bits are whole, and a step between them is this part of them. */
const MIN_WHOLE_STEPS = 2 ** 22;
const STEP = 2 ** -23;

/**
 * How far a number of a response may be from the expected one. The tolerance counts for numbers up to 100 and grows with
 * larger ones: a float of 32 bits near 250,000 has steps of 0.016, and another CPU may round the last of them. Between whole
 * numbers it does not grow, since they may be ids and indices; large ones may differ by one step of such a float.
 */
export function allowedDifference(actual: number, expected: number, tolerance: number): number {
  const size = Math.abs(expected);
  if (!Number.isInteger(actual) || !Number.isInteger(expected))
    return tolerance * Math.max(1, size / ABSOLUTE_UP_TO);
  return tolerance > 0 && size >= MIN_WHOLE_STEPS ? Math.max(tolerance, size * STEP) : tolerance;
}

function problemOf(value: unknown): string | undefined {
  if (value === undefined) return "is missing";
  // Level by level, without recursion: text of a few MiB may be nested a million times.
  let level: readonly unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH} levels`;
    const next: unknown[] = [];
    for (const one of level) {
      if (typeof one === "number" && !Number.isFinite(one)) return "has a number that is too large";
      if (typeof one === "object" && one !== null)
        for (const part of Object.values(one)) next.push(part);
    }
    level = next;
  }
  return undefined;
}
