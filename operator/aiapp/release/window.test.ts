import * as fc from "fast-check";
import { describe, expect, it, onTestFinished, vi } from "vitest";

import {
  closesAt,
  isOpen,
  isWindowError,
  nextOpening,
  parseWindow,
  type Window,
  type WindowInput,
} from "./window.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function windowOf(input: WindowInput): Window {
  const window = parseWindow(input);
  if (isWindowError(window)) throw new Error(window.message);
  return window;
}

const at = (text: string): number => Date.parse(text);

describe("a window", () => {
  const nights = windowOf({ schedule: "0 22 * * 1-5", durationMs: 8 * HOUR });

  it.each([
    ["before it opens", "2026-11-25T21:59:59.999Z", false],
    ["when it opens", "2026-11-25T22:00:00Z", true],
    ["past midnight", "2026-11-26T03:00:00Z", true],
    ["a millisecond before it closes", "2026-11-26T05:59:59.999Z", true],
    ["when it closes", "2026-11-26T06:00:00Z", false],
    ["on Saturday morning, after Friday", "2026-11-28T05:00:00Z", true],
    ["on Saturday night", "2026-11-28T23:00:00Z", false],
  ])("%s (%s): open is %s", (_, time, open) => expect(isOpen(nights, at(time))).toBe(open));

  it("says when it closes while it is open, and when it opens next at any time", () => {
    expect(closesAt(nights, at("2026-11-25T21:00Z"))).toBeUndefined();
    expect(closesAt(nights, at("2026-11-25T22:00Z"))).toBe(at("2026-11-26T06:00Z"));
    expect(nextOpening(nights, at("2026-11-25T21:00Z"))).toBe(at("2026-11-25T22:00Z"));
    expect(nextOpening(nights, at("2026-11-25T22:00Z"))).toBe(at("2026-11-26T22:00Z"));
    expect(nextOpening(nights, at("2026-11-27T22:00Z"))).toBe(at("2026-11-30T22:00Z"));
  });

  it("stays open for an hour and is in UTC when the spec says nothing else", () => {
    const window = windowOf({ schedule: "0 12 * * *" });
    expect(closesAt(window, at("2026-07-01T12:30Z"))).toBe(at("2026-07-01T13:00Z"));
  });

  it("joins openings that follow each other without a gap", () => {
    const weekends = windowOf({
      schedule: "0 0 * * 6,0",
      timeZone: "Europe/Berlin",
      durationMs: DAY,
    });
    expect(closesAt(weekends, at("2026-11-28T12:00Z"))).toBe(at("2026-11-29T23:00Z"));
    expect(isOpen(weekends, at("2026-11-29T12:00Z"))).toBe(true);
    // The Sunday of the clock change is an hour short, so that its 24 hours end at 01:00 on Monday.
    expect(closesAt(weekends, at("2026-03-28T12:00Z"))).toBe(at("2026-03-29T23:00Z"));
  });

  it("is searched for within bounds when it never closes", () => {
    const always = windowOf({ schedule: "0 * * * *", durationMs: HOUR });
    expect(closesAt(always, at("2026-11-25T12:30Z"))).toBe(at("2026-11-26T20:00Z"));
  });
});

describe("a clock change", () => {
  const night = windowOf({
    schedule: "30 2 * * *",
    timeZone: "Europe/Berlin",
    durationMs: HOUR,
  });

  it("opens a window whose time it skips once, after the gap, for the whole duration", () => {
    const opening = at("2026-03-29T01:00Z");
    expect(nextOpening(night, at("2026-03-29T00:00Z"))).toBe(opening);
    expect(isOpen(night, opening - 1)).toBe(false);
    expect(closesAt(night, opening)).toBe(opening + HOUR);
    expect(nextOpening(night, opening)).toBe(at("2026-03-30T00:30Z"));
  });

  it("opens a window whose time it repeats once, the first time", () => {
    const opening = at("2026-10-25T00:30Z");
    expect(nextOpening(night, at("2026-10-25T00:00Z"))).toBe(opening);
    expect(closesAt(night, opening)).toBe(opening + HOUR);
    expect(isOpen(night, opening + HOUR)).toBe(false);
    expect(nextOpening(night, opening)).toBe(at("2026-10-26T01:30Z"));
  });

  it("leaves a window that is open across it its elapsed time", () => {
    const window = windowOf({
      schedule: "0 22 * * *",
      timeZone: "Europe/Berlin",
      durationMs: 8 * HOUR,
    });
    expect(closesAt(window, at("2026-03-28T21:00Z"))).toBe(at("2026-03-29T05:00Z"));
    expect(closesAt(window, at("2026-10-24T20:00Z"))).toBe(at("2026-10-25T04:00Z"));
  });
});

describe("a window is refused", () => {
  it.each<[string, WindowInput, string, RegExp]>([
    [
      "an expression that is none",
      { schedule: "every night" },
      "schedule",
      /^spec\.release\.schedule "every night" is not a cron expression \(it has 2 of five fields\): write five fields, minute hour day month weekday, such as "0 22 \* \* 1-5"$/,
    ],
    [
      "a day that does not exist",
      { schedule: "0 0 31 2 *" },
      "schedule",
      /^spec\.release\.schedule "0 0 31 2 \*" does not fire within 8 years: write a day that exists/,
    ],
    [
      "a leap day that is a first Monday",
      { schedule: "0 0 29 2 +1#1" },
      "schedule",
      /does not fire within 8 years/,
    ],
    [
      "a leap day that is a Thursday, as in 2052",
      { schedule: "0 0 29 2 +4" },
      "schedule",
      /does not fire within 8 years/,
    ],
    [
      "a time zone that does not exist",
      { schedule: "0 0 * * *", timeZone: "Mars/Olympus" },
      "timeZone",
      /^spec\.release\.timeZone "Mars\/Olympus" is not in the time zone database: write an IANA name such as Europe\/Berlin, or UTC$/,
    ],
    [
      "an offset as a time zone",
      { schedule: "0 0 * * *", timeZone: "+02:00" },
      "timeZone",
      /is not in the time zone database/,
    ],
    [
      "no duration",
      { schedule: "0 0 * * *", durationMs: 0 },
      "duration",
      /is 0s: write one between 1m and 8784h$/,
    ],
    [
      "a duration that is no number",
      { schedule: "0 0 * * *", durationMs: NaN },
      "duration",
      /is NaN/,
    ],
    [
      "an endless duration",
      { schedule: "0 0 29 2 +2", durationMs: Infinity },
      "duration",
      /is Infinity/,
    ],
    [
      "a duration longer than the time between two openings",
      { schedule: "0 9,17 * * *", durationMs: 10 * HOUR },
      "duration",
      /^spec\.release\.duration is 10h, but spec\.release\.schedule "0 9,17 \* \* \*" opens the window again after 8h: write a duration of at most 8h, or a schedule that fires less often$/,
    ],
    [
      "the hour that is the default, when it opens more often",
      { schedule: "*/15 * * * *" },
      "duration",
      /is 1h, but .* after 15m/,
    ],
  ])("%s", (_, input, field, message) => {
    expect(parseWindow(input)).toEqual({ field, message: expect.stringMatching(message) });
  });

  it("with the path of the fields in the message", () => {
    const error = parseWindow({ schedule: "x" }, "spec");
    expect(error).toMatchObject({ message: expect.stringMatching(/^spec\.schedule "x" is not/) });
  });

  it("in one line of bounded length, whatever the fields hold", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 500 }),
        fc.string({ unit: "binary", maxLength: 500 }),
        fc.double(),
        (schedule, timeZone, durationMs) => {
          const parsed = parseWindow({ schedule, timeZone, durationMs });
          if (!isWindowError(parsed)) return;
          expect(parsed.message).not.toMatch(/[\n\r]/);
          expect(parsed.message.length).toBeLessThan(1000);
        },
      ),
    );
  });
});

describe("for all windows", () => {
  const number = (min: number, max: number): fc.Arbitrary<string> =>
    fc.oneof(
      fc.constant("*"),
      fc.integer({ min, max }).map(String),
      fc.uniqueArray(fc.integer({ min, max }), { minLength: 2, maxLength: 3 }).map(String),
    );
  const schedule = fc
    .tuple(
      fc.oneof(number(0, 59), fc.constantFrom("*/15", "*/7")),
      number(0, 23),
      fc.oneof(number(1, 31), fc.constantFrom("L", "15W")),
      number(1, 12),
      fc.oneof(number(0, 6), fc.constantFrom("1#1", "5L", "+1")),
    )
    .map((fields) => fields.join(" "));
  const timeZone = fc.constantFrom(
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Havana",
    "Pacific/Kiritimati",
    "Africa/Casablanca",
  );
  const window = fc
    .record({
      schedule,
      timeZone,
      durationMs: fc.oneof(
        fc.integer({ min: MINUTE, max: HOUR }),
        fc.constantFrom(MINUTE, HOUR, 8 * HOUR, DAY),
      ),
    })
    .map((input) => parseWindow(input))
    .filter((parsed): parsed is Window => !isWindowError(parsed));
  const time = fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2045, 0) });

  it("the next opening is after now, open, and preceded by no other", () => {
    fc.assert(
      fc.property(window, time, fc.double({ min: 0, max: 1, noNaN: true }), (window, now, part) => {
        const opening = nextOpening(window, now);
        if (opening === undefined) return;
        expect(opening).toBeGreaterThan(now);
        expect(isOpen(window, opening)).toBe(true);
        const between = now + Math.floor((opening - 1 - now) * part);
        expect(nextOpening(window, between)).toBe(opening);
      }),
      { numRuns: 500 },
    );
  });

  it("is open exactly for the duration after each of the openings", () => {
    fc.assert(
      fc.property(
        window,
        time,
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 }),
        (window, start, parts) => {
          const openings: number[] = [];
          let next = nextOpening(window, start);
          while (next !== undefined && openings.length < 10) {
            openings.push(next);
            next = nextOpening(window, next);
          }
          const [first, last] = [openings[0], openings.at(-1)];
          if (first === undefined || last === undefined) return;
          const edges = openings.flatMap((opening) => {
            const end = opening + window.durationMs;
            return [opening - 1, opening, end - 1, end];
          });
          const others = parts.map((part) => Math.floor(first + (last - first) * part));
          for (const now of [...edges, ...others]) {
            // What is open at the edges of the sample, the sample does not know.
            if (now < first + window.durationMs || now >= last) continue;
            const expected = openings.some(
              (opening) => opening <= now && now < opening + window.durationMs,
            );
            expect([now, isOpen(window, now)]).toEqual([now, expected]);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it("stays open until it closes, and is closed then, unless 32 openings were joined", () => {
    fc.assert(
      fc.property(window, time, fc.double({ min: 0, max: 1, noNaN: true }), (window, now, part) => {
        const opening = nextOpening(window, now);
        if (opening === undefined) return;
        const end = closesAt(window, opening) ?? NaN;
        expect(end).toBeGreaterThanOrEqual(opening + window.durationMs);
        expect(isOpen(window, opening + Math.floor((end - 1 - opening) * part))).toBe(true);
        const isJoinBound = end - opening >= 31 * window.durationMs;
        expect(isJoinBound || !isOpen(window, end)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe("hostile schedules", () => {
  it.each([
    ["0 0 31 2 *", "UTC"],
    ["0 0 29 2 1#1", "UTC"],
    ["0 0 29 2 +1#1", "Europe/Berlin"],
    ["* * 30W,31W 2 +0", "Europe/Berlin"],
    // Each minute of the hour that the clock skips: without bounds croner searches this for seconds.
    ["* 2 25-31 3 +0", "Europe/Berlin"],
    ["* 2 8-14 3 +0", "America/New_York"],
    [`${"*/1,".repeat(28)}* * 29 2 *`, "Europe/Berlin"],
  ])("%s in %s are parsed and searched with few reads of the local time", (schedule, timeZone) => {
    const reads = vi.spyOn(Intl.DateTimeFormat.prototype, "formatToParts");
    onTestFinished(() => reads.mockRestore());
    const window = parseWindow({ schedule, timeZone, durationMs: MINUTE });
    if (!isWindowError(window)) {
      nextOpening(window, at("2026-03-29T01:00Z"));
      isOpen(window, at("2032-03-29T01:00Z"));
    }
    expect(reads.mock.calls.length).toBeLessThan(100);
  });
});
