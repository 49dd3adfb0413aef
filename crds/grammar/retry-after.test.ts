import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { parseHttpDate } from "./http-date.ts";
import { retryAfterMs } from "./retry-after.ts";

const HOUR = 3_600_000;
const sent = "Sun, 06 Nov 1994 08:49:37 GMT";

function waitOf(retryAfter: string | undefined, date: string | undefined = sent): unknown {
  return retryAfterMs({ retryAfter, date }, HOUR);
}

describe("Retry-After", () => {
  it.each([
    ["17", 17_000],
    [" 17 ", 17_000],
    ["86400", HOUR],
    ["9".repeat(400), HOUR],
  ])("%s in seconds is a wait of %d ms, an hour at most", (text, ms) =>
    expect(waitOf(text)).toBe(ms),
  );

  it.each([
    ["Sun, 06 Nov 1994 08:49:57 GMT", 20_000],
    ["Sunday, 06-Nov-94 08:49:57 GMT", 20_000],
    ["Sun Nov  6 08:49:57 1994", 20_000],
    ["Mon, 07 Nov 1994 08:49:37 GMT", HOUR],
  ])("%s counts from the Date of the same response", (text, ms) => expect(waitOf(text)).toBe(ms));

  it.each([undefined, "", "0", "-5", "1.5", "1e3", "soon", sent, "Sun, 06 Nov 1994 08:49:30 GMT"])(
    "%s asks for no wait",
    (text) => expect(waitOf(text)).toBeUndefined(),
  );

  it("that is a date says nothing without the date of the response", () => {
    expect(waitOf("Sun, 06 Nov 1994 08:49:57 GMT", "")).toBeUndefined();
    expect(waitOf("Sun, 06 Nov 1994 08:49:57 GMT", "yesterday")).toBeUndefined();
  });
});

describe("a date of HTTP", () => {
  it("is read as JavaScript writes it, at any time", () => {
    const range = { min: new Date(0), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true };
    fc.assert(
      fc.property(fc.date(range), (date) => {
        expect(parseHttpDate(date.toUTCString())).toBe(Math.floor(date.getTime() / 1000) * 1000);
      }),
    );
  });

  it.each([
    "Sun, 31 Feb 1994 08:49:37 GMT",
    "Sun, 06 Nix 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37 CET",
    "1994-11-06T08:49:37Z",
    "",
  ])("%j is none", (text) => expect(parseHttpDate(text)).toBeUndefined());

  it("of two digits of a year is in the nearest century to 1970", () => {
    expect(parseHttpDate("Friday, 06-Nov-26 08:49:37 GMT")).toBe(Date.UTC(2026, 10, 6, 8, 49, 37));
  });
});
