import { isUtf8 } from "node:buffer";

import { invalidRequest, type ServerError } from "../errors.ts";
import type { Datatype } from "../tensor/tensor.ts";
import { describeFault, faultOf } from "./json-fault.ts";

/** What a request needs at most: JSON takes its memory, many times its bytes, before its form can be checked. */
const MAX_DEPTH = 16;
/** Numbers whose last dimension are three channels have an array for each pixel: 4 million are 1.4 million arrays. */
const MAX_ARRAYS = 1_500_000;
const MAX_VALUES = 5_000_000;
/** Objects and their fields: a body is one object of one field. */
const MAX_FIELDS = 10_000;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Counts what JSON text would become, without parsing it. Whether it is JSON at all is for the parser to say.
 * @param what names the text in the message
 * @throws REQUEST_INVALID when it is nested too deep, or of more parts than any request has
 */
export function checkJson(bytes: Uint8Array, what: string, maxDepth = MAX_DEPTH): void {
  let depth = 0;
  let arrays = 0;
  let values = 0;
  let fields = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    switch (bytes[at] ?? 0) {
      case QUOTE:
        at += 1;
        while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
        break;
      case OPEN_ARRAY:
        depth += 1;
        arrays += 1;
        if (arrays > MAX_ARRAYS) throw tooMany(what, MAX_ARRAYS, "arrays");
        break;
      case OPEN_OBJECT:
        depth += 1;
        fields += 1;
        break;
      case COLON:
        fields += 1;
        break;
      case COMMA:
        values += 1;
        if (values > MAX_VALUES) throw tooMany(what, MAX_VALUES, "values");
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth -= 1;
        break;
      default:
    }
    if (depth > maxDepth) throw invalidRequest(`${what} is nested deeper than ${maxDepth} levels`);
    if (fields > MAX_FIELDS) throw tooMany(what, MAX_FIELDS, "objects and fields");
  }
}

/** An integer that a double may not hold; the look-around leaves out digits of fractions and exponents. */
const LARGE_INTEGER = /(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/;

/** Whether JSON's numbers are read with all their digits for an input of this datatype. */
export function isExact({ datatype }: { readonly datatype: Datatype }): boolean {
  return datatype === "INT64" || datatype === "UINT64";
}

export interface JsonOptions {
  /** Gives integers beyond 2^53 as bigint, where there are some; this takes longer. */
  readonly exact: boolean;
  /** What to do where more follows than JSON, or the text ends too soon. */
  readonly lengthHint?: string;
}

const BYTE_ORDER_MARK = Buffer.from("\ufeff");

/** Whether the text has integers that a double may not hold. */
export function hasLargeIntegers(text: string): boolean {
  return LARGE_INTEGER.test(text);
}

/**
 * Parses JSON, after a count of what it would become. A byte order mark in front is skipped.
 * @param what names the text in the message
 * @throws REQUEST_INVALID saying where it is no JSON
 */
export function readJson(bytes: Buffer, what: string, options: JsonOptions): unknown {
  checkJson(bytes, what);
  const hasMark = bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
  const json = hasMark ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes;
  if (json.length === 0) throw invalidRequest(`${what} is empty: send JSON`);
  // A decoder would replace what is not UTF-8 without a word.
  if (!isUtf8(json))
    throw invalidRequest(withHint(`${what} is not UTF-8: send JSON as UTF-8`, options));
  return parseJson(json.toString("utf8"), what, options);
}

/** Parses JSON whose parts have been counted. @throws REQUEST_INVALID saying where it is no JSON */
export function parseJson(text: string, what: string, options: JsonOptions): unknown {
  try {
    return options.exact && hasLargeIntegers(text)
      ? JSON.parse(text, exactInteger)
      : JSON.parse(text);
  } catch (cause) {
    throw invalidRequest(`${what} is not JSON${reasonOf(text, options)}`, { cause });
  }
}

function reasonOf(text: string, options: JsonOptions): string {
  const fault = faultOf(text);
  if (fault === undefined) return "";
  const reason = `: ${describeFault(text, fault)}`;
  return fault.isBehindValue || fault.at >= text.length ? withHint(reason, options) : reason;
}

function withHint(message: string, { lengthHint }: JsonOptions): string {
  return lengthHint === undefined ? message : `${message}; ${lengthHint}`;
}

function exactInteger(_: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? "";
  return /^-?\d{1,40}$/.test(source) ? BigInt(source) : value;
}

function tooMany(what: string, limit: number, parts: string): ServerError {
  return invalidRequest(`${what} has more than ${limit} ${parts}: send fewer rows at once`);
}
