import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { formatTime, parseTime } from "./rfc3339.ts";

const range = { min: new Date("0000-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59.999Z") };
const anyTime = fc.date({ ...range, noInvalidDate: true });

describe("a time", () => {
  it("is written to the second, in UTC, and read back", () => {
    expect(formatTime(Date.UTC(2026, 2, 1, 9, 8, 7, 999))).toBe("2026-03-01T09:08:07Z");
    fc.assert(
      fc.property(anyTime, (date) => {
        const seconds = Math.floor(date.getTime() / 1000) * 1000;
        expect(parseTime(formatTime(date.getTime()))).toBe(seconds);
        expect(parseTime(date.toISOString())).toBe(date.getTime());
      }),
    );
  });

  it.each([
    ["2026-03-01T09:08:07+02:00", "2026-03-01T07:08:07Z"],
    ["2026-03-01T09:08:07-00:30", "2026-03-01T09:38:07Z"],
    ["2026-03-01t09:08:07.123456789z", "2026-03-01T09:08:07Z"],
  ])("%s is %s", (text, utc) => expect(formatTime(parseTime(text) ?? 0)).toBe(utc));

  it.each([
    "2026-02-30T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-03-01T24:00:00Z",
    "2026-03-01T09:60:00Z",
    "2026-03-01T09:08:07",
    "2026-03-01T09:08:07+24:00",
    "2026-03-01T09:08:07+00:60",
    "2026-03-01 09:08:07Z",
    "2026-03-01",
    "1772356087",
    "",
  ])("%j is none", (text) => expect(parseTime(text)).toBeUndefined());
});
