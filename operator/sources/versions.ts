import semver from "semver";

import type { Model } from "../../crds/aiapp.ts";
import { OperatorError } from "../errors.ts";

/** Which version `latest` and ranges mean. Pure: the folders' names and the order in, names in order out. */

export type VersionOrder = Model["order"];

export type Selector =
  | { readonly kind: "exact"; readonly version: string }
  | { readonly kind: "latest" }
  | { readonly kind: "range"; readonly range: string };

/** `latest`, a version folder, or anything with an operator of ranges in it. */
export function parseSelector(modelVersion: string | number): Selector {
  const text = String(modelVersion).trim();
  if (text === "latest") return { kind: "latest" };
  if (/[<>=^~*| ]|(^|\.)x($|\.)/.test(text)) {
    if (semver.validRange(text) === null) {
      throw new OperatorError(
        "VERSIONS_AMBIGUOUS",
        `modelVersion ${JSON.stringify(text)} is neither a version nor a range: write a range such as ">=7 <8"`,
      );
    }
    return { kind: "range", range: text };
  }
  return { kind: "exact", version: text };
}

const DATE =
  /^(\d{4})[-.]?(\d{2})[-.]?(\d{2})(?:[-T_.]?(\d{2})[-:.]?(\d{2})(?:[-:.]?(\d{2}))?Z?)?$/;

/** Comparable digits of a calendar date, with or without a time; undefined when it is none. */
function dateOf(version: string): string | undefined {
  const match = DATE.exec(version);
  if (match === null) return undefined;
  const [, year = "", month = "", day = "", hour = "00", minute = "00", second = "00"] = match;
  const real = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  const valid =
    !Number.isNaN(real.getTime()) && real.getUTCDate() === Number(day) && Number(year) >= 1900;
  return valid ? year + month + day + hour + minute + second : undefined;
}

function numberOf(version: string): bigint | undefined {
  const match = /^v?(\d{1,100})$/.exec(version);
  return match?.[1] === undefined ? undefined : BigInt(match[1]);
}

/** Reads `7` as 7.0.0 and `7.1` as 7.1.0. */
function semverOf(version: string): semver.SemVer | undefined {
  const padded = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?((?:-|\+).+)?$/.exec(version);
  if (padded === null) return undefined;
  const [, major = "0", minor = "0", patch = "0", rest = ""] = padded;
  const plain = [major, minor, patch].map((part) => part.replace(/^0+(?=\d)/, "")).join(".");
  return semver.parse(plain + rest) ?? undefined;
}

type Kind = Exclude<VersionOrder, "Auto">;

/** Auto does not take a date among other versions for a pre-release, as 2026-03-01 would be one of 2026.0.0. */
function plainSemverOf(version: string): semver.SemVer | undefined {
  const parsed = semverOf(version);
  return dateOf(version) !== undefined && parsed?.prerelease.length !== 0 ? undefined : parsed;
}

/** The one kind that all versions are of. Dates first: 20260301 is a date before it is a number. */
function kindOf(versions: readonly string[], order: VersionOrder): Kind {
  const readers: Readonly<Record<Kind, (version: string) => unknown>> = {
    Date: dateOf,
    SemVer: order === "Auto" ? plainSemverOf : semverOf,
    Numeric: numberOf,
  };
  const candidates: readonly Kind[] = order === "Auto" ? ["Date", "SemVer"] : [order];
  for (const kind of candidates) {
    if (versions.every((version) => readers[kind](version) !== undefined)) return kind;
  }
  const first = candidates.at(-1) ?? "SemVer";
  const odd = versions.filter((version) => readers[first](version) === undefined).slice(0, 3);
  throw new OperatorError(
    "VERSIONS_AMBIGUOUS",
    order === "Auto"
      ? `the versions are of mixed kinds (${odd.join(", ")} among ${versions.length}): set model.order, or name a version`
      : `model.order is ${order}, but ${odd.join(", ")} cannot be read so: set another order, or name a version`,
  );
}

function compare(kind: Kind, a: string, b: string): number {
  switch (kind) {
    case "Date":
      return (dateOf(a) ?? "").localeCompare(dateOf(b) ?? "");
    case "Numeric": {
      const [left, right] = [numberOf(a) ?? 0n, numberOf(b) ?? 0n];
      return left < right ? -1 : left > right ? 1 : 0;
    }
    case "SemVer": {
      const [left, right] = [semverOf(a), semverOf(b)];
      return left === undefined || right === undefined ? 0 : semver.compareBuild(left, right);
    }
  }
}

/** Whether a selector admits both, and `to` is older than `from`. Of two kinds, neither is older. */
export function isOlder(
  to: string,
  from: string,
  selector: Selector,
  order: VersionOrder,
): boolean {
  if (selector.kind === "exact") return false;
  try {
    const kind = kindOf([to, from], order);
    return compare(kind, to, from) < 0 && candidates([to, from], selector, order).length === 2;
  } catch (error) {
    if (error instanceof OperatorError && error.code === "VERSIONS_AMBIGUOUS") return false;
    throw error;
  }
}

/**
 * The versions that a selector admits, newest first. Pre-releases are left out by `latest` and by ranges, unless a
 * range names one. Equal ones (`7` and `7.0.0`) are ordered by name, so that the answer does not depend on the listing.
 */
export function candidates(
  versions: readonly string[],
  selector: Exclude<Selector, { kind: "exact" }>,
  order: VersionOrder,
): readonly string[] {
  if (versions.length === 0) return [];
  const kind = kindOf(versions, order);
  const admitted = versions.filter((version) => {
    if (selector.kind === "latest")
      return kind !== "SemVer" || semverOf(version)?.prerelease.length === 0;
    const parsed = semverOf(version);
    if (kind === "Date" || parsed === undefined) {
      throw new OperatorError(
        "VERSIONS_AMBIGUOUS",
        `the range ${JSON.stringify(selector.range)} needs versions that are numbers or semantic versions; these are dates: use latest, or name a version`,
      );
    }
    return semver.satisfies(parsed, selector.range);
  });
  return admitted.toSorted((a, b) => compare(kind, b, a) || (a < b ? 1 : -1));
}
