import { RE2JS } from "re2js";
import semver from "semver";

import type { ImagePolicy } from "../../crds/aiapp.ts";
import { OperatorError } from "../errors.ts";

/** Which tag an imagePolicy means. Pure: a repository's tags in, the admitted ones in order out. */
export interface TagOrder {
  /** The tags that the policy admits, newest first. */
  readonly newestFirst: (tags: readonly string[]) => readonly string[];
  /** Whether both are admitted, and `to` is older than `from`. */
  readonly isOlder: (to: string, from: string) => boolean;
}

/** Reads a policy. @throws IMAGE_POLICY_INVALID saying what is wrong with it */
export function tagOrder(policy: ImagePolicy): TagOrder {
  return policy.pattern === undefined
    ? orderBy(readVersion(policy.semver ?? "*"), (a, b) => semver.compareBuild(a, b))
    : orderBy(readNumber(policy.pattern), (a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

function orderBy<K>(
  read: (tag: string) => K | undefined,
  compare: (a: K, b: K) => number,
): TagOrder {
  return {
    newestFirst: (tags) =>
      tags
        .flatMap((tag) => {
          const key = read(tag);
          return key === undefined ? [] : [{ tag, key }];
        })
        // Equal ones (1.4.0 and v1.4.0) by name: the answer must not depend on the order of the listing.
        .toSorted((a, b) => compare(b.key, a.key) || (a.tag < b.tag ? 1 : -1))
        .map(({ tag }) => tag),
    isOlder: (to, from) => {
      const [left, right] = [read(to), read(from)];
      return left !== undefined && right !== undefined && compare(left, right) < 0;
    },
  };
}

/** Whole versions only, with or without `v`: by custom `1.4` moves to the newest 1.4.x, and must not compete with it. */
function readVersion(text: string): (tag: string) => semver.SemVer | undefined {
  const range = semver.validRange(text);
  if (range === null) {
    throw new OperatorError(
      "IMAGE_POLICY_INVALID",
      `imagePolicy.semver ${JSON.stringify(text)} is no range: write one such as ">=1.4 <2"`,
    );
  }
  return (tag) => {
    const version = semver.parse(tag);
    return version !== null && semver.satisfies(version, range) ? version : undefined;
  };
}

/** Steps that a pattern may come to when it is compiled: usual ones have twenty, `[0-9a-f]{40}` has forty. */
const MAX_STEPS = 128;

/**
 * Patterns are anybody's, and one process reads them all: RE2 takes at most the length of the tag times the number of steps,
 * and both are bounded.
 */
function readNumber(text: string): (tag: string) => bigint | undefined {
  let pattern: RE2JS;
  try {
    pattern = RE2JS.compile(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new OperatorError(
      "IMAGE_POLICY_INVALID",
      `imagePolicy.pattern cannot be read: ${why}; write one such as main-[0-9a-f]+-([0-9]+)`,
      { cause },
    );
  }
  if (pattern.groupCount() !== 1) {
    throw new OperatorError(
      "IMAGE_POLICY_INVALID",
      `imagePolicy.pattern ${text} has ${pattern.groupCount()} groups: it needs one, around the number; write others as (?:…)`,
    );
  }
  if (pattern.programSize() > MAX_STEPS) {
    throw new OperatorError(
      "IMAGE_POLICY_INVALID",
      `imagePolicy.pattern ${text} takes too many steps: write fewer repetitions such as {100}`,
    );
  }
  return (tag) => {
    const matcher = pattern.matcher(tag);
    const number = matcher.matches() ? matcher.group(1) : null;
    return number !== null && /^\d{1,100}$/.test(number) ? BigInt(number) : undefined;
  };
}
