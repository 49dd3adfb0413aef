import semver from "semver";

import type { Model } from "../aiapp/sources.ts";
import { lastOf, type Steps } from "./steps.ts";

/** How the names of version folders are read: as dates, as semantic versions or as numbers. */

export type VersionOrder = Model["order"];
export type VersionKind = Exclude<VersionOrder, "Auto">;

const DATE =
  /^(\d{4})[-.]?(\d{2})[-.]?(\d{2})(?:[-T_.]?(\d{2})[-:.]?(\d{2})(?:[-:.]?(\d{2}))?Z?)?$/;

/** Comparable digits of a calendar date, with or without a time; undefined for a text that is none. */
function readDate(version: string): string | undefined {
  const match = DATE.exec(version);
  if (match === null) return undefined;
  const [, year = "", month = "", day = "", hour = "00", minute = "00", second = "00"] = match;
  const date = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  // JavaScript reads 30 February as 2 March.
  const exists =
    !Number.isNaN(date.getTime()) && date.getUTCDate() === Number(day) && Number(year) >= 1900;
  return exists ? year + month + day + hour + minute + second : undefined;
}

function readNumber(version: string): bigint | undefined {
  const match = /^v?(\d{1,100})$/.exec(version);
  return match?.[1] === undefined ? undefined : BigInt(match[1]);
}

/** Reads `7` as 7.0.0 and `7.1` as 7.1.0. */
export function readSemver(version: string): semver.SemVer | undefined {
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?((?:-|\+).+)?$/.exec(version);
  if (match === null) return undefined;
  const [, major = "0", minor = "0", patch = "0", rest = ""] = match;
  const core = [major, minor, patch].map((part) => part.replace(/^0+(?=\d)/, "")).join(".");
  return semver.parse(core + rest) ?? undefined;
}

/** For Auto: 2026-03-01 is no pre-release of 2026.0.0, and neither is 2026-02-30, which no calendar has. */
function readSemverNotDate(version: string): semver.SemVer | undefined {
  const parsed = readSemver(version);
  return DATE.test(version) && parsed?.prerelease.length !== 0 ? undefined : parsed;
}

function readerOf(kind: VersionKind, order: VersionOrder): (version: string) => unknown {
  switch (kind) {
    case "Date":
      return readDate;
    case "Numeric":
      return readNumber;
    case "SemVer":
      return order === "Auto" ? readSemverNotDate : readSemver;
  }
}

/** Auto tries dates first: 20260301 is a date before it is a number. */
function kindsOf(order: VersionOrder): readonly VersionKind[] {
  return order === "Auto" ? ["Date", "SemVer"] : [order];
}

/** The one kind that all versions are of; undefined when there is none. */
export function kindOf(versions: readonly string[], order: VersionOrder): VersionKind | undefined {
  return lastOf(findKind(versions, order));
}

/** `kindOf`, with a step for each version. */
export function* findKind(
  versions: readonly string[],
  order: VersionOrder,
): Steps<VersionKind | undefined> {
  for (const kind of kindsOf(order)) {
    const read = readerOf(kind, order);
    let isOfKind = true;
    for (const version of versions) {
      yield;
      isOfKind = read(version) !== undefined;
      if (!isOfKind) break;
    }
    if (isOfKind) return kind;
  }
  return undefined;
}

/**
 * The first versions that are not of the last kind that the order tries: what a message names when `kindOf` finds none. A
 * step for each version.
 */
export function* findUnreadable(
  versions: readonly string[],
  order: VersionOrder,
  count: number,
): Steps<readonly string[]> {
  const read = readerOf(kindsOf(order).at(-1) ?? "SemVer", order);
  const found: string[] = [];
  for (const version of versions) {
    yield;
    if (read(version) === undefined) found.push(version);
    if (found.length === count) break;
  }
  return found;
}

/**
 * Whether `latest` and ranges can sort a version: a number, a semantic version or a date. One folder that the operator
 * cannot read makes all of a model's versions ambiguous.
 */
export function isSortable(version: string): boolean {
  return kindOf([version], "Auto") !== undefined;
}

/** A version that was read once, to be compared many times. */
export type VersionKey = string | bigint | semver.SemVer | undefined;

export function keyOf(kind: VersionKind, version: string): VersionKey {
  switch (kind) {
    case "Date":
      return readDate(version);
    case "Numeric":
      return readNumber(version);
    case "SemVer":
      return readSemver(version);
  }
}

/** Negative when `a` is older than `b`; 0 when they are equal or one of them is not of the other's kind. */
export function compareKeys(a: VersionKey, b: VersionKey): number {
  if (a instanceof semver.SemVer && b instanceof semver.SemVer) return semver.compareBuild(a, b);
  if (typeof a !== typeof b || a === undefined || b === undefined) return 0;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Negative when `a` is older than `b`; 0 when they are equal or one of them is not of this kind. */
export function compareVersions(kind: VersionKind, a: string, b: string): number {
  return compareKeys(keyOf(kind, a), keyOf(kind, b));
}
