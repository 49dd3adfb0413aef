import { parseHttpDate } from "./http-date.ts";

export interface RetryHeaders {
  /** The header's value: seconds, or a date of HTTP. */
  readonly retryAfter: string | null | undefined;
  /** The Date header of the same response: a date in `retryAfter` counts from it, so that no clock of ours matters. */
  readonly date: string | null | undefined;
}

/**
 * How long a response asks its client to wait, in milliseconds (RFC 9110, 10.2.3): at most `maxMs`.
 * Undefined when it asks for no wait, or in no form that can be read.
 */
export function retryAfterMs(
  { retryAfter, date }: RetryHeaders,
  maxMs: number,
): number | undefined {
  const text = retryAfter?.trim() ?? "";
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : between(date?.trim() ?? "", text);
  return ms !== undefined && ms > 0 ? Math.min(ms, maxMs) : undefined;
}

function between(from: string, to: string): number | undefined {
  const [start, end] = [parseHttpDate(from), parseHttpDate(to)];
  return start === undefined || end === undefined ? undefined : end - start;
}
