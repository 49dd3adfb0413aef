import { z } from "zod";

import { ServerError } from "../errors.ts";
import { checkJson } from "./json.ts";

/** What a request asks to be scored: pictures, or rows of numbers. */
export type Asked =
  | { readonly kind: "pictures"; readonly pictures: readonly Uint8Array[] }
  | {
      readonly kind: "numbers";
      readonly data: Float32Array<ArrayBuffer>;
      readonly dims: readonly number[];
    };

export const MAX_ROWS = 1024;
const MAX_RANK = 8;

/** The tutorial's form wraps the array in a string; a plain array is the same. */
const Body = z.union([
  z.object({ input: z.union([z.string(), z.array(z.unknown())]) }).transform(({ input }) => input),
  z.array(z.unknown()),
]);

const FORM = `send {"input": ["<base64 of a picture>", …]}, {"input": [[1.5, 2.5, …], …]}, or a picture as the body`;

function invalid(message: string): ServerError {
  return new ServerError("REQUEST_INVALID", message);
}

/** Reads the JSON body of `POST /score`. @throws REQUEST_INVALID saying what form is right */
export function readRequest(body: unknown): Asked {
  const parsed = Body.safeParse(body);
  if (!parsed.success) throw invalid(`the body is not understood: ${FORM}`);
  const rows = typeof parsed.data === "string" ? unwrap(parsed.data) : parsed.data;
  if (rows.length === 0) throw invalid(`nothing is to be scored: ${FORM}`);
  if (rows.length > MAX_ROWS)
    throw invalid(`${rows.length} at once are too many: send at most ${MAX_ROWS}`);
  return typeof rows[0] === "string"
    ? { kind: "pictures", pictures: rows.map(pictureOf) }
    : numbersOf(rows);
}

function unwrap(text: string): readonly unknown[] {
  // The check of the body passes over its strings.
  checkJson(Buffer.from(text), "input", MAX_RANK);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(`input is a string that is not JSON: ${FORM}`);
  }
  if (!Array.isArray(value)) throw invalid(`input is a string that holds no array: ${FORM}`);
  return value;
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

function pictureOf(value: unknown, index: number): Uint8Array {
  if (typeof value !== "string")
    throw invalid(`input[${index}] is no string: do not mix pictures and numbers`);
  const text = value.replace(/^data:[^,]{0,100},/, "").replace(/\s/g, "");
  if (!BASE64.test(text)) throw invalid(`input[${index}] is not base64 of a picture`);
  return Buffer.from(text, "base64");
}

/** Nested arrays of numbers, all of one shape, as one flat tensor. */
function numbersOf(rows: readonly unknown[]): Asked {
  const dims: number[] = [];
  for (let level: unknown = rows; Array.isArray(level); level = level[0]) {
    dims.push(level.length);
    if (dims.length > MAX_RANK) throw invalid(`input is nested deeper than ${MAX_RANK} levels`);
  }
  const leaves: (readonly unknown[])[] = [];
  function collect(value: unknown, level: number): void {
    if (!Array.isArray(value) || value.length !== dims[level])
      throw invalid(`input is ragged: every row needs the same shape, here [${dims.join(", ")}]`);
    if (level + 1 === dims.length) leaves.push(value);
    else for (const one of value) collect(one, level + 1);
  }
  collect(rows, 0);
  // Only now is the shape known to be more than what the first row claims, and worth its memory.
  const data = new Float32Array(leaves.length * (dims.at(-1) ?? 0));
  let filled = 0;
  for (const leaf of leaves) {
    for (const value of leaf) {
      data[filled] = numberOf(value);
      filled += 1;
    }
  }
  return { kind: "numbers", data, dims };
}

function numberOf(value: unknown): number {
  if (typeof value !== "number")
    throw invalid(`input holds ${describe(value)} where a number should be`);
  // The model would answer with what is no number.
  if (!Number.isFinite(Math.fround(value)))
    throw invalid(`input holds ${value}, which is beyond float32`);
  return value;
}

function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
