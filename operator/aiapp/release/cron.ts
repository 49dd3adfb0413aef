import { Cron, CronPattern } from "croner";

/**
 * Cron expressions of five fields. Each local time fires once: one that the clock skips in spring fires at the first
 * moment after the gap, and one that the clock repeats in autumn fires the first time. That holds for `*` and steps as
 * well, unlike in cron itself, so that no firing is lost or doubled.
 */

/** As long as the schema admits. */
const MAX_LENGTH = 128;

/**
 * How many years a search goes on: leap days are at most eight years apart. Without a bound croner searches a thousand
 * years, which takes seconds where each match falls into the gap of a clock change.
 */
export const HORIZON_YEARS = 8;

export type ParsedCron =
  | { readonly expression: string }
  /** What is wrong with it, as a clause. */
  | { readonly problem: string };

/** Reads an expression, and writes it without `*` and steps in the minute and the hour. Never throws. */
export function parseCron(text: string): ParsedCron {
  if (text.length > MAX_LENGTH) return { problem: `it is longer than ${MAX_LENGTH} characters` };
  const fields = text.trim().split(/\s+/);
  if (fields.length !== 5) return { problem: `it has ${fields.length} of five fields` };
  if (!fields.every((field) => /^[0-9A-Za-z*/,#+?-]+$/.test(field)))
    return { problem: "it has a character that means nothing in cron" };
  try {
    const { pattern } = new CronPattern(fields.join(" "), undefined, { mode: "5-part" });
    const [minute = "", hour = "", ...days] = pattern.split(" ");
    return { expression: [expand(minute, 59), expand(hour, 23), ...days].join(" ") };
  } catch (error) {
    return { problem: error instanceof Error ? describe(error) : String(error) };
  }
}

/**
 * The first firing after `after` (ms since the epoch), or undefined if none follows within eight years.
 *
 * @param expression of `parseCron`
 * @param timeZone an IANA name
 */
export function nextFiring(
  expression: string,
  timeZone: string,
  after: number,
): number | undefined {
  return createCron(expression, after, { timezone: timeZone }).nextRun(new Date(after))?.getTime();
}

/** The first firings after `after`, in UTC: without the time zone database this is fast. */
export function nextFiringsInUtc(
  expression: string,
  after: number,
  count: number,
): readonly number[] {
  return createCron(expression, after, { utcOffset: 0 })
    .nextRuns(count, new Date(after))
    .map((date) => date.getTime());
}

/**
 * Made for each search: that takes 25 µs, where keeping it would take 85 kB, and only its year field bounds the search.
 */
function createCron(
  expression: string,
  after: number,
  zone: { readonly timezone: string } | { readonly utcOffset: number },
): Cron {
  const year = new Date(after).getUTCFullYear();
  // In local time it may still be the year before.
  return new Cron(`0 ${expression} ${year - 1}-${year + HORIZON_YEARS}`, {
    mode: "7-part",
    fixedTimeRule: "no-wildcard",
    ...zone,
  });
}

/** What croner says, without its own names, and without its counting of days and months from zero. */
function describe({ message }: Error): string {
  const text = message.replace(/^CronPattern: (Syntax error, )?/, "").replace(/\.$/, "");
  return text.replace(/^Invalid value for (\w+):.*$/, "$1 is out of range").slice(0, 200);
}

/** Writes `*` and steps of a valid field as ranges and lists: without them croner fires once for each local time. */
function expand(field: string, last: number): string {
  return field
    .replaceAll("?", "*")
    .split(",")
    .map((part) => expandPart(part, last))
    .join(",");
}

function expandPart(part: string, last: number): string {
  const [range = "", step] = part.split("/");
  const [from = 0, to = last] = range === "*" ? [] : range.split("-").map(Number);
  if (step === undefined) return range === "*" ? `0-${last}` : range;
  const values: number[] = [];
  for (let value = from; value <= to; value += Number(step)) values.push(value);
  return values.join(",");
}
