import { isUtf8 } from "node:buffer";

import { invalidRequest } from "../errors.ts";
import type { Datatype } from "../tensor/tensor.ts";
import { describeFault, faultOf } from "./json-fault.ts";
import { checkParts } from "./json-parts.ts";

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
  const hasMark = bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
  const json = hasMark ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes;
  if (json.length === 0) throw invalidRequest(`${what} is empty: send JSON`);
  // A decoder would replace what is not UTF-8 without a word.
  if (!isUtf8(json))
    throw invalidRequest(withHint(`${what} is not UTF-8: send JSON as UTF-8`, options));
  const text = json.toString("utf8");
  checkParts(text, what);
  return parseJson(text, what, options);
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
