import * as fc from "fast-check";
import semver from "semver";
import { describe, expect, it } from "vitest";

import type { ImagePolicy } from "../aiapp/sources.ts";
import { tagOrder } from "./tag-order.ts";

function newestFirst(policy: ImagePolicy, ...tags: readonly string[]): readonly string[] {
  return tagOrder(policy).newestFirst(tags);
}

describe("imagePolicy.semver", () => {
  it("takes the newest tag in the range, as versions compare and not as text does", () => {
    expect(newestFirst({ semver: ">=1.4 <2" }, "1.9.0", "1.10.0", "2.0.0", "1.3.9")).toEqual([
      "1.10.0",
      "1.9.0",
    ]);
  });

  it.each(["latest", "1.4", "1", "20260301", "main-3f2a9cd", "1.4.2-amd64.", "01.2.3"])(
    "leaves %s alone: it is no version",
    (tag) => expect(newestFirst({ semver: "*" }, tag)).toEqual([]),
  );

  it("takes a v before the version", () => {
    expect(newestFirst({ semver: "^1" }, "v1.4.1", "1.4.0")).toEqual(["v1.4.1", "1.4.0"]);
  });

  it("leaves pre-releases out, unless the range names one", () => {
    const tags = ["2.0.0-rc.1", "1.9.0"];
    expect(newestFirst({ semver: ">=1" }, ...tags)).toEqual(["1.9.0"]);
    expect(newestFirst({ semver: ">=2.0.0-0" }, ...tags)).toEqual(["2.0.0-rc.1"]);
  });

  it("gives one answer whatever the order of the list, even for equal versions", () => {
    const version = fc
      .tuple(
        fc.constantFrom("", "v"),
        fc.nat(2),
        fc.nat(2),
        fc.nat(2),
        fc.constantFrom("", "-rc.1"),
      )
      .map(([v, major, minor, patch, rest]) => `${v}${major}.${minor}.${patch}${rest}`);
    fc.assert(
      fc.property(
        fc.uniqueArray(version, { maxLength: 12 }),
        fc.func(fc.nat()),
        (tags, shuffle) => {
          const ordered = newestFirst({ semver: ">=0.0.0-0" }, ...tags);
          const others = tags.toSorted((a, b) => shuffle(a) - shuffle(b));
          expect(newestFirst({ semver: ">=0.0.0-0" }, ...others)).toEqual(ordered);
          for (const [index, tag] of ordered.slice(1).entries())
            expect(semver.compare(ordered[index] ?? "", tag)).toBeGreaterThanOrEqual(0);
        },
      ),
    );
  });

  it("is refused with an example when it is no range", () => {
    expect(() => tagOrder({ semver: "newest" })).toThrow(/no range: write one such as ">=1\.4 <2"/);
  });
});

describe("imagePolicy.pattern", () => {
  const policy = { pattern: "main-[0-9a-f]+-([0-9]+)" };

  it("takes the tag with the highest number, however many digits it has", () => {
    const huge = `main-c-${"9".repeat(60)}`;
    expect(newestFirst(policy, "main-a-9", huge, "main-b-10")).toEqual([
      huge,
      "main-b-10",
      "main-a-9",
    ]);
  });

  it.each(["main-a-9-arm64", "not-main-a-9", "latest", "main-a-"])(
    "leaves %s alone: the pattern is for the whole tag",
    (tag) => expect(newestFirst(policy, tag)).toEqual([]),
  );

  it("knows groups with names, as in Flux", () => {
    expect(newestFirst({ pattern: "^b(?P<n>[0-9]+)$" }, "b2", "b11")).toEqual(["b11", "b2"]);
  });

  it("does not count what is no number in the group", () => {
    expect(newestFirst({ pattern: "b(.*)" }, "b2", "bx", "b")).toEqual(["b2"]);
  });

  it.each([
    ["main-[0-9]+", /0 groups: it needs one/],
    ["(main)-([0-9]+)", /2 groups: it needs one, around the number/],
    ["main-([0-9]+", /cannot be read: .*missing closing \)/],
    ["((x{1000}){1000}){1000}", /cannot be read: /],
    [`${"(?:a?){1000}".repeat(9)}([0-9]+)`, /takes too many steps/],
  ])("%s is refused, saying why", (pattern, why) => {
    expect(() => tagOrder({ pattern })).toThrow(why);
  });

  it("takes no time that grows out of bounds, whatever the pattern", () => {
    // Minutes for a backtracking engine, and the operator would stand still meanwhile.
    const order = tagOrder({ pattern: "(?:(?:a*)*)*([0-9]+)" });
    expect(order.newestFirst([`${"a".repeat(126)}x`, `${"a".repeat(126)}7`])).toHaveLength(1);
  });
});

describe("a tag", () => {
  it("is older only if both are admitted", () => {
    const order = tagOrder({ semver: ">=1 <2" });
    expect(order.isOlder("1.4.0", "1.5.0")).toBe(true);
    expect(order.isOlder("1.5.0", "1.5.0")).toBe(false);
    expect(order.isOlder("v1.5.0", "1.5.0")).toBe(false);
    expect(order.isOlder("1.6.0", "1.5.0")).toBe(false);
    expect(order.isOlder("1.4.0", "2.0.0")).toBe(false);
    expect(order.isOlder("1.4.0", "stable")).toBe(false);
  });
});
