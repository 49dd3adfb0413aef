import * as fc from "fast-check";
import semver from "semver";
import { describe, expect, it } from "vitest";

import { GrammarError } from "./grammar-error.ts";
import { isChoice, parseSelector, type Selector } from "./selector.ts";
import { isSortable, type VersionOrder } from "./version-kind.ts";
import { isOlder, selectVersions } from "./version-order.ts";

const latest: Selector & { kind: "latest" } = { kind: "latest" };

function range(text: string): Selector & { kind: "range" } {
  const selector = parseSelector(text);
  if (selector.kind !== "range") throw new Error(`${text} is no range`);
  return selector;
}

/** Newest first. */
function ordered(versions: readonly string[], order: VersionOrder = "Auto"): readonly string[] {
  return selectVersions(versions, latest, order);
}

describe("modelVersion", () => {
  it.each([
    ["7"],
    ["1.4.0"],
    ["v2"],
    ["2026-03-01"],
    ["1.0.0-x"],
    ["1.0.0+linux"],
    ["prod"],
    ["Latest"],
    ["max"],
  ])("%s is one version", (version) =>
    expect(parseSelector(version)).toEqual({ kind: "exact", version }),
  );

  it("may be a number", () => {
    expect(parseSelector(7)).toEqual({ kind: "exact", version: "7" });
  });

  it("is latest, with blanks or without", () => {
    expect(parseSelector(" latest ")).toEqual({ kind: "latest" });
  });

  it.each([
    [">=7 <8"],
    ["^1.2"],
    ["~1.2.3"],
    ["1.x"],
    ["7.X"],
    ["X"],
    ["*"],
    ["1 || 3"],
    ["1.0 - 1.4"],
    ["<8"],
  ])("%s is a range", (text) =>
    expect(parseSelector(text)).toEqual({ kind: "range", range: text }),
  );

  it.each([["> seven"], ["latest *"], [">=1 <"]])("%s is refused, with an example", (text) => {
    expect(() => parseSelector(text)).toThrow(
      expect.objectContaining({
        code: "VERSIONS_AMBIGUOUS",
        message: expect.stringContaining('write a range such as ">=7 <8"'),
      }),
    );
  });
});

describe("latest", () => {
  it("is nothing where nothing is", () => {
    expect(ordered([])).toEqual([]);
  });

  it("counts numbers as numbers", () => {
    expect(ordered(["9", "10", "2"])).toEqual(["10", "9", "2"]);
  });

  it("reads 7 as 7.0.0 and v7.1 as 7.1.0", () => {
    expect(ordered(["7", "v7.1", "7.0.1", "6.9.9"])).toEqual(["v7.1", "7.0.1", "7", "6.9.9"]);
  });

  it("reads numbers with leading zeros", () => {
    expect(ordered(["001", "010", "002"])).toEqual(["010", "002", "001"]);
  });

  it("reads dates, with times and without", () => {
    const versions = [
      "2026-03-01",
      "20260228",
      "2026-03-01T10:30",
      "2026.02.27",
      "20260301093000Z",
    ];
    expect(ordered(versions)).toEqual([
      "2026-03-01T10:30",
      "20260301093000Z",
      "2026-03-01",
      "20260228",
      "2026.02.27",
    ]);
  });

  it("takes what no calendar has for numbers", () => {
    expect(ordered(["20260230", "20260301", "9"])).toEqual(["20260301", "20260230", "9"]);
  });

  it("leaves pre-releases out", () => {
    expect(ordered(["1.0.0", "1.1.0-rc.1", "2.0.0-alpha"])).toEqual(["1.0.0"]);
    expect(ordered(["1.1.0-rc.1"])).toEqual([]);
  });

  it("takes a date that no calendar has for no version, and not for a pre-release of 2026.0.0", () => {
    for (const version of ["2026-02-30", "2026-13-01", "2026-03-01T25:00"])
      expect(() => ordered([version])).toThrow(`mixed kinds (${version} among 1)`);
  });

  it("does not know versions of mixed kinds", () => {
    expect(() => ordered(["1.0.0", "prod"])).toThrow(
      expect.objectContaining({
        code: "VERSIONS_AMBIGUOUS",
        message:
          "the versions are of mixed kinds (prod among 2): set model.order, or name a version",
      }),
    );
  });

  it("does not take a date among numbers for a pre-release of 2026.0.0", () => {
    expect(() => ordered(["7", "8", "2026-03-01"])).toThrow("mixed kinds (2026-03-01 among 3)");
  });

  it("answers equal versions in one order", () => {
    expect(ordered(["7", "7.0.0", "v7"])).toEqual(ordered(["v7", "7.0.0", "7"]));
  });
});

describe("model.order", () => {
  it("SemVer reads eight digits as a number, not as a date", () => {
    expect(ordered(["20260301", "20261301"], "SemVer")).toEqual(["20261301", "20260301"]);
  });

  it("Numeric takes numbers of any length, and nothing else", () => {
    const large = "9".repeat(30);
    expect(ordered([large, "10", `${large}0`], "Numeric")).toEqual([`${large}0`, large, "10"]);
    expect(() => ordered(["10", "1.5"], "Numeric")).toThrow(
      "model.order is Numeric, but 1.5 cannot be read so: set another order, or name a version",
    );
  });

  it("Date takes dates, and nothing else", () => {
    expect(ordered(["2026-03-01", "2026-03-02"], "Date")).toEqual(["2026-03-02", "2026-03-01"]);
    expect(() => ordered(["2026-03-01", "2026-02-30"], "Date")).toThrow("2026-02-30");
  });
});

describe("a range", () => {
  const versions = ["6.9.0", "7", "7.4.2", "8.0.0", "7.5.0-rc.1"];

  it("admits the versions in it, newest first", () => {
    expect(selectVersions(versions, range(">=7 <8"), "Auto")).toEqual(["7.4.2", "7"]);
    expect(selectVersions(versions, range("^6 || 8"), "Auto")).toEqual(["8.0.0", "6.9.0"]);
    expect(selectVersions(versions, range(">9"), "Auto")).toEqual([]);
  });

  it("admits a pre-release only when it names one", () => {
    expect(selectVersions(versions, range(">=7.5.0-rc.0 <8"), "Auto")).toEqual(["7.5.0-rc.1"]);
  });

  it("puts pre-releases before their release, and counts in them as numbers", () => {
    const versions = ["1.0.0-rc.2", "1.0.0", "1.0.0-rc.10"];
    expect(selectVersions(versions, range(">=1.0.0-rc.1"), "Auto")).toEqual([
      "1.0.0",
      "1.0.0-rc.10",
      "1.0.0-rc.2",
    ]);
  });

  it("does not go with numbers beyond those of semantic versions, and says so", () => {
    const large = "9".repeat(30);
    expect(() => selectVersions(["7", large], range(">=7"), "Numeric")).toThrow(
      `the range ">=7" cannot be compared with ${large}, which is above 9007199254740991`,
    );
  });

  it("does not go with dates, and says so", () => {
    expect(() => selectVersions(["2026-03-01", "2026-03-02"], range(">=7"), "Auto")).toThrow(
      'the range ">=7" needs versions that are numbers or semantic versions; these are dates',
    );
  });
});

describe("any versions", () => {
  const number = fc.nat(12);
  const ofKind = {
    numbers: fc.oneof(
      number.map(String),
      number.map((n) => `v${n}`),
    ),
    semver: fc
      .tuple(fc.nat(2), fc.nat(2), number, fc.constantFrom("", "-rc.1", "-rc.2", "+a"))
      .map(([a, b, c, rest]) => `${a}.${b}.${c}${rest}`),
    dates: fc
      .tuple(
        fc.date({
          min: new Date("2020-01-01T00:00:00Z"),
          max: new Date("2030-01-01T00:00:00Z"),
          noInvalidDate: true,
        }),
        fc.constantFrom(10, 16, 19),
        fc.boolean(),
      )
      .map(([date, length, plain]) => {
        const text = date.toISOString().slice(0, length);
        return plain ? text.replaceAll(/[-:T]/g, "") : text;
      }),
    anything: fc.constantFrom("1", "2.0", "2026-03-01", "prod", "1.0.0-rc", "20260301", "x", ""),
  };
  const listings = fc
    .oneof(...Object.values(ofKind).map((version) => fc.uniqueArray(version, { maxLength: 8 })))
    .chain((versions) =>
      fc.tuple(
        fc.constant(versions),
        fc.shuffledSubarray(versions, { minLength: versions.length }),
      ),
    );
  const orders = fc.constantFrom<VersionOrder>("Auto", "Numeric", "SemVer", "Date");
  const selectors = fc.constantFrom(latest, range(">=7"), range("1.x || >20"));

  function answer(...args: Parameters<typeof selectVersions>): readonly string[] | "refused" {
    try {
      return selectVersions(...args);
    } catch (error) {
      if (error instanceof GrammarError && error.code === "VERSIONS_AMBIGUOUS") return "refused";
      throw error;
    }
  }

  it("are ordered the same whatever the order in which they are listed", () => {
    fc.assert(
      fc.property(listings, selectors, orders, ([listed, shuffled], selector, order) => {
        expect(answer(shuffled, selector, order)).toEqual(answer(listed, selector, order));
      }),
      { numRuns: 1000 },
    );
  });

  it("of semantic kind are ordered as semver orders them", () => {
    fc.assert(
      fc.property(fc.uniqueArray(ofKind.semver), (versions) => {
        const final = versions.filter((version) => semver.prerelease(version) === null);
        const answered = ordered(versions);
        expect(answered.toSorted()).toEqual(final.toSorted());
        for (const [index, version] of answered.slice(1).entries())
          expect(semver.compareBuild(answered[index] ?? "", version)).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it("that are dates are ordered as time goes", () => {
    fc.assert(
      fc.property(fc.uniqueArray(ofKind.dates), (versions) => {
        const digits = ordered(versions).map((version) =>
          version.replaceAll(/\D/g, "").padEnd(14, "0"),
        );
        expect(digits).toHaveLength(versions.length);
        expect(digits).toEqual(digits.toSorted().toReversed());
      }),
    );
  });
});

describe("a version is older", () => {
  it.each<[string, string, string, boolean]>([
    ["2", "3", "latest", true],
    ["3", "2", "latest", false],
    ["7.0.0", "7", "latest", false],
    ["9", "10", ">=7", true],
    ["7", "10", ">=7 <8", false],
    ["1.9.0", "2.0.0-rc.1", "latest", false],
    ["20260301", "20260401", "latest", true],
    ["7", "2026-04-01", "latest", false],
    ["2", "3", "2", false],
  ])("%s than %s under %s: %s", (to, from, selector, older) => {
    expect(isOlder(to, from, parseSelector(selector), "Auto")).toBe(older);
  });
});

describe("what the CLI refuses to publish", () => {
  it.each(["latest", ">=7", "7.x", "7.X", "x", "1 || 2"])("%s is a choice among versions", (text) =>
    expect(isChoice(text)).toBe(true),
  );

  it.each(["7", "Latest", "max.1", "1.0.0-x", "2026-03-01"])("%s is a version", (text) =>
    expect(isChoice(text)).toBe(false),
  );

  it("is what modelVersion would read as latest or a range", () => {
    const texts = fc.stringMatching(/^[A-Za-z0-9<>=^~*|][xX0-9<>=.|+-]{0,8}$/);
    fc.assert(
      fc.property(texts, (text) => {
        let kind: string;
        try {
          ({ kind } = parseSelector(text));
        } catch {
          kind = "unreadable range";
        }
        expect(isChoice(text)).toBe(kind !== "exact");
      }),
    );
  });

  it.each(["7", "v2", "007", "1.4", "1.4.0-rc.1", "2026-03-01", "20260301T1030", "20260230"])(
    "%s can be sorted",
    (version) => expect(isSortable(version)).toBe(true),
  );

  it.each(["prod", "2026-03", "2026-02-30", "2026-13-01", "1.4.0-01", "9".repeat(30), ""])(
    "%j cannot be sorted",
    (version) => expect(isSortable(version)).toBe(false),
  );
});
