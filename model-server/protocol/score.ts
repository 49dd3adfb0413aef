import { z } from "zod";

import { ServerError } from "../errors.ts";
import type { Datatype, Tensor } from "../tensor/tensor.ts";
import { checkJson } from "./json.ts";
import { MAX_RANK, tensorOfNested } from "./nested.ts";

/** What a request of `POST /score` wants scored: images, or a tensor. */
export type ScoreInput =
  | { readonly kind: "images"; readonly images: readonly Uint8Array[] }
  | { readonly kind: "tensor"; readonly tensor: Tensor };

export const MAX_ROWS = 1024;
const MAX_TOP = 1000;
export const DEFAULT_TOP = 5;

/** The tutorial's form wraps the array in a string; a plain array is the same. */
const Body = z.union([
  z.object({ input: z.union([z.string(), z.array(z.unknown())]) }).transform(({ input }) => input),
  z.array(z.unknown()),
]);

const Query = z.object({
  top: z.coerce.number().int().min(1).max(MAX_TOP).default(DEFAULT_TOP),
});

const FORM = `send {"input": ["<base64 of an image>", …]}, {"input": [[1.5, 2.5, …], …]}, or an image as the body`;

function invalid(message: string): ServerError {
  return new ServerError("REQUEST_INVALID", message);
}

/** Reads the query of `POST /score`. @throws REQUEST_INVALID */
export function readQuery(query: unknown): z.infer<typeof Query> {
  const parsed = Query.safeParse(query);
  if (!parsed.success) throw invalid(`top must be a number from 1 to ${MAX_TOP}`);
  return parsed.data;
}

/**
 * Reads the JSON body of `POST /score`.
 * @param datatype of the model's input: text is an image, unless the model takes text
 * @throws REQUEST_INVALID saying what form is right
 */
export function readScoreInput(body: unknown, datatype: Datatype = "FP32"): ScoreInput {
  const parsed = Body.safeParse(body);
  if (!parsed.success) throw invalid(`the body has not the form of a request: ${FORM}`);
  const rows = typeof parsed.data === "string" ? unwrap(parsed.data) : parsed.data;
  if (rows.length === 0) throw invalid(`the body has no rows: ${FORM}`);
  if (rows.length > MAX_ROWS)
    throw invalid(`${rows.length} rows at once are too many: send at most ${MAX_ROWS}`);
  if (typeof rows[0] === "string" && datatype !== "BYTES")
    return { kind: "images", images: rows.map(imageOf) };
  return { kind: "tensor", tensor: tensorOfNested(rows, datatype, "input") };
}

function unwrap(text: string): readonly unknown[] {
  // The check of the body skips strings.
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

function imageOf(value: unknown, index: number): Uint8Array {
  if (typeof value !== "string")
    throw invalid(`input[${index}] is no string: do not mix images and numbers`);
  const text = value.replace(/^data:[^,]{0,100},/, "").replace(/\s/g, "");
  if (!BASE64.test(text)) throw invalid(`input[${index}] is not base64 of an image`);
  return Buffer.from(text, "base64");
}

/** The answer in the tutorial's form. */
export function scoreAnswer(
  scores: unknown,
  ms: number,
): { readonly result: readonly [unknown, string] } {
  return { result: [scores, `Computed in ${ms.toFixed(ms < 10 ? 1 : 0)} ms`] };
}
