import semver from "semver";

import { GrammarError } from "./grammar-error.ts";

/** What `spec.modelVersion` selects. */
export type Selector =
  | { readonly kind: "exact"; readonly version: string }
  | { readonly kind: "latest" }
  | { readonly kind: "range"; readonly range: string };

/** An operator of ranges, or a part that is `x` or `X`: node-semver reads both as "any". */
const RANGE_SYNTAX = /[<>=^~*| ]|(^|\.)[xX]($|\.)/;

/** Reads `latest`, a range, or the name of a version folder. @throws VERSIONS_AMBIGUOUS for a range that cannot be read */
export function parseSelector(modelVersion: string | number): Selector {
  const text = String(modelVersion).trim();
  if (text === "latest") return { kind: "latest" };
  if (!RANGE_SYNTAX.test(text)) return { kind: "exact", version: text };
  if (semver.validRange(text) === null) {
    throw new GrammarError(
      "VERSIONS_AMBIGUOUS",
      `modelVersion ${JSON.stringify(text)} is neither a version nor a range: write a range such as ">=7 <8"`,
    );
  }
  return { kind: "range", range: text };
}

/** Whether a modelVersion chooses among versions, as `latest`, `>=7 <8` and `7.x` do, instead of naming one folder. */
export function isChoice(version: string): boolean {
  return version === "latest" || RANGE_SYNTAX.test(version);
}
