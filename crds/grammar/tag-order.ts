import { RE2JS } from "re2js";
import semver from "semver";

import type { ImagePolicy } from "../aiapp/sources.ts";
import { GrammarError } from "./grammar-error.ts";

/** Which tags an imagePolicy admits, and in which order. */
export interface TagOrder {
  /** The tags that the policy admits, newest first. */
  readonly newestFirst: (tags: readonly string[]) => readonly string[];
  /** Finds the newest of tags that are offered one by one, in any order, and reads each once. */
  readonly createBest: () => BestTag;
  /** Whether the policy admits both tags, and `to` is older than `from`. */
  readonly isOlder: (to: string, from: string) => boolean;
}

export interface BestTag {
  readonly offer: (tag: string) => void;
  /** The newest so far; undefined when the policy admits none. */
  readonly newest: () => string | undefined;
}

/** Reads a policy. @throws IMAGE_POLICY_INVALID saying what is wrong with it */
export function tagOrder(policy: ImagePolicy): TagOrder {
  return policy.pattern === undefined
    ? orderBy(versionReader(policy.semver ?? "*"), (a, b) => semver.compareBuild(a, b))
    : orderBy(numberReader(policy.pattern), (a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** @param read gives the sort key of a tag; undefined for a tag that the policy does not admit */
function orderBy<K>(
  read: (tag: string) => K | undefined,
  compare: (a: K, b: K) => number,
): TagOrder {
  interface Entry {
    readonly tag: string;
    readonly key: K;
  }
  // Equal versions (1.4.0 and v1.4.0) by name: the result must not depend on the order of the listing.
  const newestFirst = (a: Entry, b: Entry): number =>
    compare(b.key, a.key) || (a.tag < b.tag ? 1 : -1);
  const entryOf = (tag: string): Entry | undefined => {
    const key = read(tag);
    return key === undefined ? undefined : { tag, key };
  };
  return {
    newestFirst: (tags) =>
      tags
        .flatMap((tag) => entryOf(tag) ?? [])
        .toSorted(newestFirst)
        .map(({ tag }) => tag),
    createBest: () => {
      let best: Entry | undefined;
      return {
        offer: (tag) => {
          const entry = entryOf(tag);
          if (entry !== undefined && (best === undefined || newestFirst(entry, best) < 0))
            best = entry;
        },
        newest: () => best?.tag,
      };
    },
    isOlder: (to, from) => {
      const [left, right] = [read(to), read(from)];
      return left !== undefined && right !== undefined && compare(left, right) < 0;
    },
  };
}

/** Full versions only, with or without `v`: by convention `1.4` is a moving tag, and would compete with 1.4.2. */
function versionReader(text: string): (tag: string) => semver.SemVer | undefined {
  const range = semver.validRange(text);
  if (range === null) {
    throw new GrammarError(
      "IMAGE_POLICY_INVALID",
      `imagePolicy.semver ${JSON.stringify(text)} is no range: write one such as ">=1.4 <2"`,
    );
  }
  return (tag) => {
    const version = semver.parse(tag);
    return version !== null && semver.satisfies(version, range) ? version : undefined;
  };
}

/** Instructions of a compiled pattern: a usual one has twenty, `[0-9a-f]{40}` has forty. */
const MAX_INSTRUCTIONS = 128;

/**
 * A pattern comes from any tenant and runs in a process that serves all of them: RE2 takes time proportional to the
 * length of the tag times the number of instructions, and both are bounded.
 */
function numberReader(text: string): (tag: string) => bigint | undefined {
  const pattern = compilePattern(text);
  return (tag) => {
    const matcher = pattern.matcher(tag);
    const number = matcher.matches() ? matcher.group(1) : null;
    return number !== null && /^\d{1,100}$/.test(number) ? BigInt(number) : undefined;
  };
}

function compilePattern(text: string): RE2JS {
  let pattern: RE2JS;
  try {
    pattern = RE2JS.compile(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new GrammarError(
      "IMAGE_POLICY_INVALID",
      `imagePolicy.pattern cannot be read: ${why}; write one such as main-[0-9a-f]+-([0-9]+)`,
      { cause },
    );
  }
  if (pattern.groupCount() !== 1) {
    throw new GrammarError(
      "IMAGE_POLICY_INVALID",
      `imagePolicy.pattern ${text} has ${pattern.groupCount()} groups: it needs one, around the number; write others as (?:…)`,
    );
  }
  if (pattern.programSize() > MAX_INSTRUCTIONS) {
    throw new GrammarError(
      "IMAGE_POLICY_INVALID",
      `imagePolicy.pattern ${text} takes too many steps: write fewer repetitions such as {100}`,
    );
  }
  return pattern;
}
