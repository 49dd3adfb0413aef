import { HORIZON_YEARS, nextFiring, nextFiringsInUtc, parseCron } from "./cron.ts";

/**
 * Windows that open by a cron schedule: `spec.release.schedule` of an AIApp, and recurring freezes. Pure: times are
 * arguments, in milliseconds since the epoch.
 *
 * A window opens at each firing, which is once for each local time (`cron.ts`), and stays open for its duration. That is
 * elapsed time: eight hours are eight hours on the day of a clock change, too.
 */
export interface Window {
  /** Five fields, without `*` and steps in the minute and the hour. */
  readonly cron: string;
  /** A canonical IANA name. */
  readonly timeZone: string;
  readonly durationMs: number;
}

/** Why there is no window. */
export interface WindowError {
  readonly field: "schedule" | "timeZone" | "duration";
  /** What is wrong, in which field, and what to write. */
  readonly message: string;
}

export interface WindowInput {
  readonly schedule: string;
  /** An IANA name. Default: UTC. */
  readonly timeZone?: string | undefined;
  /** Default: one hour. */
  readonly durationMs?: number | undefined;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const YEAR = 366 * 24 * HOUR;
const EXAMPLE = '"0 22 * * 1-5"';

/** A parse must not depend on the time it happens at: this is where it looks for openings. Two leap days follow. */
const REFERENCE = Date.UTC(2025, 0, 1) - 1;

/** How many openings a parse compares with the duration. */
const SAMPLE = 64;

/** How many openings that follow each other without a gap `closesAt` joins: every day of a month. */
const MAX_JOINED = 32;

/**
 * Never throws. Takes about 1 ms: keep the result for as long as the input is the same.
 *
 * @param path the object that holds the fields, for messages
 */
export function parseWindow(input: WindowInput, path = "spec.release"): Window | WindowError {
  const { schedule, durationMs = HOUR } = input;
  const timeZone = canonicalTimeZone(input.timeZone ?? "UTC");
  if (timeZone === undefined) {
    return {
      field: "timeZone",
      message: `${path}.timeZone ${quote(input.timeZone ?? "")} is not in the time zone database: write an IANA name such as Europe/Berlin, or UTC`,
    };
  }
  const cron = parseCron(schedule);
  if ("problem" in cron) {
    return {
      field: "schedule",
      message: `${path}.schedule ${quote(schedule)} is not a cron expression (${cron.problem}): write five fields, minute hour day month weekday, such as ${EXAMPLE}`,
    };
  }
  const problem = findProblem(schedule, cron.expression, durationMs, path);
  return problem ?? { cron: cron.expression, timeZone, durationMs };
}

export function isWindowError(parsed: Window | WindowError): parsed is WindowError {
  return "field" in parsed;
}

export function isOpen(window: Window, now: number): boolean {
  return openedAt(window, now) !== undefined;
}

/** The first opening after `now`, also while the window is open. Undefined: none within eight years. */
export function nextOpening({ cron, timeZone }: Window, now: number): number | undefined {
  return nextFiring(cron, timeZone, now);
}

/**
 * When the window that is open at `now` closes; undefined while it is closed. Openings that follow each other without a
 * gap are one: after 32 of them the time is that of the last, and the window may be open at it.
 */
export function closesAt(window: Window, now: number): number | undefined {
  let opening = openedAt(window, now);
  if (opening === undefined) return undefined;
  let end = opening + window.durationMs;
  for (let joined = 1; joined < MAX_JOINED; joined += 1) {
    opening = nextOpening(window, opening);
    if (opening === undefined || opening > end) break;
    end = opening + window.durationMs;
  }
  return end;
}

/** The opening that holds at `now`: one search forward, from where an opening could not reach `now`. */
function openedAt(window: Window, now: number): number | undefined {
  const opening = nextOpening(window, now - window.durationMs);
  return opening !== undefined && opening <= now ? opening : undefined;
}

/** Canonical, so that the formatters that croner keeps by name are as many as there are zones. */
function canonicalTimeZone(name: string): string | undefined {
  // Intl takes offsets, too, which know no daylight saving time.
  if (!/^[A-Za-z]/.test(name)) return undefined;
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

/**
 * Compares the duration with the time between openings. In UTC: where the day of a clock change is an hour short, two
 * openings may overlap, and are then one.
 */
function findProblem(
  schedule: string,
  cron: string,
  durationMs: number,
  path: string,
): WindowError | undefined {
  if (!(durationMs >= MINUTE && durationMs <= YEAR)) {
    return {
      field: "duration",
      message: `${path}.duration is ${format(durationMs)}: write one between 1m and ${format(YEAR)}`,
    };
  }
  const firings = nextFiringsInUtc(cron, REFERENCE, SAMPLE);
  if (firings.length === 0) {
    return {
      field: "schedule",
      message: `${path}.schedule ${quote(schedule)} does not fire within ${HORIZON_YEARS} years: write a day that exists, such as ${EXAMPLE}`,
    };
  }
  const gaps = firings.slice(1).map((firing, index) => firing - (firings[index] ?? firing));
  const shortest = Math.min(...gaps);
  if (shortest >= durationMs) return undefined;
  return {
    field: "duration",
    message: `${path}.duration is ${format(durationMs)}, but ${path}.schedule ${quote(schedule)} opens the window again after ${format(shortest)}: write a duration of at most ${format(shortest)}, or a schedule that fires less often`,
  };
}

/** As in JSON: one line, whatever it holds. */
function quote(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}

/** As a duration is written in a spec: `90m` is `1h30m`. */
function format(ms: number): string {
  if (!Number.isFinite(ms)) return String(ms);
  const parts = [
    [Math.floor(ms / HOUR), "h"],
    [Math.floor((ms % HOUR) / MINUTE), "m"],
    [(ms % MINUTE) / 1000, "s"],
  ] as const;
  const text = parts.flatMap(([count, unit]) => (count > 0 ? [`${count}${unit}`] : [])).join("");
  return text === "" ? "0s" : text;
}
