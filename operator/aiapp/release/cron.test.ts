import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { nextFiring, nextFiringsInUtc, parseCron } from "./cron.ts";

const MINUTE = 60_000;

function expressionOf(text: string): string {
  const parsed = parseCron(text);
  if ("problem" in parsed) throw new Error(`${text}: ${parsed.problem}`);
  return parsed.expression;
}

/** Firings from one time to another, as local ISO times with their offsets to UTC left out: UTC. */
function firings(text: string, timeZone: string, from: string, to: string): readonly string[] {
  const found: string[] = [];
  let at: number | undefined = Date.parse(from) - 1;
  for (;;) {
    at = nextFiring(expressionOf(text), timeZone, at);
    if (at === undefined || at >= Date.parse(to)) return found;
    found.push(new Date(at).toISOString());
  }
}

describe("an expression", () => {
  it.each([
    ["0 2 * * 1-5", "0 2 * * 1-5"],
    ["*/20 * * * *", "0,20,40 0-23 * * *"],
    ["5-10/2,59 ? L * FRI#2", "5,7,9,59 0-23 L * FRI#2"],
    ["  0\t0  1,15 JAN *  ", "0 0 1,15 JAN *"],
  ])("%j is %j", (text, expression) => expect(parseCron(text)).toEqual({ expression }));

  it.each([
    ["", "it has 1 of five fields"],
    ["0 2 * *", "it has 4 of five fields"],
    ["0 0 2 * * *", "it has 6 of five fields"],
    ["@daily", "it has 1 of five fields"],
    ["2026-12-20T00:00:00Z * * * *", "it has a character that means nothing in cron"],
    ["\u0000 2 * * *", "it has a character that means nothing in cron"],
    ["60 2 * * *", "minute is out of range"],
    ["0 24 * * *", "hour is out of range"],
    ["0 0 32 * *", "day is out of range"],
    ["0 0 0 * *", "day is out of range"],
    ["0 0 * 13 *", "month is out of range"],
    ["*/0 * * * *", "illegal stepping: 0"],
    ["0 0 * * 1#6", "nth weekday out of range, should be 1-5 or L. Value: 6, Type: string"],
    [`0 0 ${"1,".repeat(100)}1 * *`, "it is longer than 128 characters"],
  ])("%j is refused: %s", (text, problem) => expect(parseCron(text)).toEqual({ problem }));

  it("is read or refused, never thrown at, and fires at whole minutes, each after the last", () => {
    const field = fc.string({
      unit: fc.constantFrom(..."0123456789*/,-LW#+?"),
      minLength: 1,
      maxLength: 6,
    });
    const usual = fc.constantFrom("*", "0", "*/7", "1-5", "29", "31", "L", "15W", "5#5", "+1#1");
    const text = fc.array(fc.oneof(usual, field), { minLength: 5, maxLength: 5 });
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 4e12 }), (fields, after) => {
        const parsed = parseCron(fields.join(" "));
        if ("problem" in parsed) return;
        const found = nextFiringsInUtc(parsed.expression, after, 3);
        expect(found.every((firing) => firing > after && firing % MINUTE === 0)).toBe(true);
        expect(found).toEqual([...new Set(found)].toSorted((a, b) => a - b));
      }),
      { numRuns: 500 },
    );
  });
});

describe("a clock change", () => {
  it("in spring skips 02:30 in Berlin: it fires once, at 03:00", () => {
    expect(
      firings("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00Z", "2026-03-31T00:00Z"),
    ).toEqual(["2026-03-28T01:30:00.000Z", "2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"]);
  });

  it("in autumn repeats 02:30 in Berlin: it fires once, the first time", () => {
    expect(
      firings("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00Z", "2026-10-27T00:00Z"),
    ).toEqual(["2026-10-24T00:30:00.000Z", "2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"]);
  });

  it("does the same to steps", () => {
    expect(
      firings("*/30 1-3 * * *", "Europe/Berlin", "2026-03-29T00:00Z", "2026-03-29T12:00Z"),
    ).toEqual(["2026-03-29T00:00:00.000Z", "2026-03-29T00:30:00.000Z", "2026-03-29T01:00:00.000Z", "2026-03-29T01:30:00.000Z"]); // prettier-ignore
    expect(firings("0 * * * *", "Europe/Berlin", "2026-10-25T00:00Z", "2026-10-25T03:00Z")).toEqual(
      ["2026-10-25T00:00:00.000Z", "2026-10-25T02:00:00.000Z"],
    );
  });
});

describe("the calendar", () => {
  it("has leap days, which may be eight years apart", () => {
    expect(firings("0 0 29 2 *", "UTC", "2026-01-01T00:00Z", "2033-01-01T00:00Z")).toEqual([
      "2028-02-29T00:00:00.000Z",
      "2032-02-29T00:00:00.000Z",
    ]);
    expect(nextFiring("0 0 29 2 *", "UTC", Date.UTC(2096, 2, 1))).toBe(Date.UTC(2104, 1, 29));
  });

  it("has months of different lengths: 31 skips the short ones, L is the last day of each", () => {
    expect(firings("0 0 31 * *", "UTC", "2026-01-01T00:00Z", "2026-06-01T00:00Z")).toEqual([
      "2026-01-31T00:00:00.000Z",
      "2026-03-31T00:00:00.000Z",
      "2026-05-31T00:00:00.000Z",
    ]);
    expect(firings("0 0 L * *", "UTC", "2028-01-01T00:00Z", "2028-04-01T00:00Z")).toEqual([
      "2028-01-31T00:00:00.000Z",
      "2028-02-29T00:00:00.000Z",
      "2028-03-31T00:00:00.000Z",
    ]);
  });

  it("begins a year while it is still the year before elsewhere", () => {
    const [early, late] = [Date.parse("2026-12-31T23:30Z"), Date.parse("2027-01-01T02:30Z")];
    expect(nextFiring("45 0 1 1 *", "Europe/Berlin", early)).toBe(early + 15 * MINUTE);
    expect(nextFiring("45 21 31 12 *", "America/New_York", late)).toBe(late + 15 * MINUTE);
  });
});

/** Against a slow model that walks through every minute and asks Intl for the local time. */
describe("firings on days around a clock change", () => {
  const days = [
    ["Europe/Berlin", "2026-03-28T12:00Z"],
    ["Europe/Berlin", "2026-10-24T12:00Z"],
    ["America/New_York", "2026-03-07T12:00Z"],
    ["America/New_York", "2026-10-31T12:00Z"],
    // Half an hour.
    ["Australia/Lord_Howe", "2026-04-04T00:00Z"],
    ["Australia/Lord_Howe", "2026-10-03T00:00Z"],
    // At midnight, into the day before.
    ["America/Havana", "2026-03-07T18:00Z"],
    ["America/Havana", "2026-10-31T18:00Z"],
    ["Asia/Kathmandu", "2026-06-30T12:00Z"],
  ] as const;

  /** Minutes of local time, as if it were UTC. */
  function localMinutes(timeZone: string, from: number, count: number): readonly number[] {
    const format = new Intl.DateTimeFormat("sv-SE", {
      timeZone,
      dateStyle: "short",
      timeStyle: "short",
    });
    return Array.from({ length: count }, (_, index) => {
      const text = format.format(from + index * MINUTE);
      return Date.parse(`${text.replace(" ", "T")}Z`) / MINUTE;
    });
  }

  interface Times {
    readonly minutes: ReadonlySet<number>;
    readonly hours: ReadonlySet<number>;
    readonly weekdays: ReadonlySet<number>;
  }

  function matches({ minutes, hours, weekdays }: Times, localMinute: number): boolean {
    const date = new Date(localMinute * MINUTE);
    return (
      minutes.has(date.getUTCMinutes()) &&
      hours.has(date.getUTCHours()) &&
      weekdays.has(date.getUTCDay())
    );
  }

  function walk(times: Times, from: number, locals: readonly number[]): readonly number[] {
    const found: number[] = [];
    let latest = (locals[0] ?? 0) - 1;
    for (const [index, local] of locals.entries()) {
      // All local times up to this one that have not been: one, none while the clock repeats, or a gap.
      let fires = false;
      for (let time = latest + 1; time <= local; time += 1) fires ||= matches(times, time);
      latest = Math.max(latest, local);
      if (fires) found.push(from + index * MINUTE);
    }
    return found;
  }

  const setOf = (max: number, size: number): fc.Arbitrary<Set<number>> =>
    fc.uniqueArray(fc.nat(max), { minLength: 1, maxLength: size }).map((all) => new Set(all));

  it.each(days)("in %s from %s are those of the local clock", (timeZone, day) => {
    const from = Date.parse(day);
    const count = 2 * 24 * 60;
    const locals = localMinutes(timeZone, from, count);
    fc.assert(
      fc.property(
        setOf(59, 60),
        setOf(23, 24),
        setOf(6, 7),
        fc.nat(count - 1),
        (minutes, hours, weekdays, start) => {
          const list = (set: ReadonlySet<number>): string => [...set].join(",");
          const days = weekdays.size === 7 ? "*" : list(weekdays);
          const expression = `${list(minutes)} ${list(hours)} * * ${days}`;
          const after = from + start * MINUTE;
          const expected = walk({ minutes, hours, weekdays }, from, locals)
            .filter((time) => time > after)
            .slice(0, 20);
          const found: number[] = [];
          let at: number | undefined = after;
          while (found.length < expected.length) {
            at = nextFiring(expression, timeZone, at);
            if (at === undefined) break;
            found.push(at);
          }
          expect(found).toEqual(expected);
        },
      ),
      { numRuns: 100 },
    );
  });
});
