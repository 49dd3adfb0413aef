import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { reasons } from "../crds/conditions.ts";
import { errors, reasonOf, type ErrorCode } from "../operator/errors.ts";

const page = readFileSync(join(import.meta.dirname, "errors.md"), "utf8");

/** The text below each `###` heading, up to the next heading of any level. */
function sections(): ReadonlyMap<string, string> {
  const parts = page.split(/^(?=#{2,3} )/m).filter((part) => part.startsWith("### "));
  return new Map(
    parts.map((part) => {
      const end = part.indexOf("\n");
      return [part.slice(4, end).trim(), part.slice(end).trim()];
    }),
  );
}

/** Cells of the table of error codes: code, reason, tried again, what it means. */
function rows(): readonly (readonly string[])[] {
  const table = page.slice(page.indexOf("\n## Error codes\n"));
  return [...table.matchAll(/^\|(.*)\|$/gm)]
    .map(([, row = ""]) => row.split("|").map((cell) => cell.trim()))
    .filter(([code]) => code?.startsWith("`"));
}

function linked(reason: string | undefined): string {
  return reason === undefined ? "–" : `[${reason}](#${reason.toLowerCase()})`;
}

describe("docs/errors.md", () => {
  it("has one heading for every reason, and none for anything else", () => {
    const headings = [...page.matchAll(/^### (.*)$/gm)].map(([, heading]) => heading);
    expect(headings).toHaveLength(reasons.length);
    expect(new Set(headings)).toEqual(new Set(reasons));
  });

  it("says something below every heading", () => {
    const empty = [...sections()].filter(([, text]) => text.length < 40);
    expect(empty.map(([heading]) => heading)).toEqual([]);
  });

  it("says what to do about every reason of an error", () => {
    const known = sections();
    const codes = Object.keys(errors) as ErrorCode[];
    const silent = codes
      .flatMap((code) => reasonOf(code) ?? [])
      .filter((reason) => !known.get(reason)?.includes("**Do**"));
    expect(silent).toEqual([]);
  });

  it("lists every error code once, with its reason, whether it is tried again, and its summary", () => {
    const codes = Object.keys(errors) as ErrorCode[];
    const expected = codes.map((code) => [
      `\`${code}\``,
      linked(reasonOf(code)),
      errors[code].retry === "backoff" ? "yes" : "no",
      errors[code].summary,
    ]);
    expect(rows()).toEqual(expected);
  });

  it("links to headings that are there", () => {
    const anchors = [...page.matchAll(/^#{2,3} (.*)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^a-z0-9 -]/g, "")
        .replaceAll(" ", "-"),
    );
    const targets = [...page.matchAll(/\]\(#([^)]*)\)/g)].map(([, target]) => target);
    expect(targets.filter((target) => !anchors.includes(target ?? ""))).toEqual([]);
  });
});
