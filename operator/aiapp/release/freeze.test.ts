import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { AIAppReleaseFreeze } from "../../../crds/freeze.ts";
import type { LabelSelector } from "../../../crds/label-selector.ts";
import { selects, type Labels } from "../namespace-labels.ts";
import {
  activeFreezes,
  isOverridden,
  nextFreezeChange,
  parseFreeze,
  type Freeze,
} from "./freeze.ts";

const at = (text: string): number => Date.parse(text);

function freeze(name: string, spec: Readonly<Record<string, unknown>>): Freeze {
  return parseFreeze(
    AIAppReleaseFreeze.parse({
      apiVersion: "aiapp.dev/v1alpha1",
      kind: "AIAppReleaseFreeze",
      metadata: { name },
      spec: { reason: `reason of ${name}`, ...spec },
    }),
  );
}

describe("a freeze from a time until another", () => {
  const holidays = freeze("holidays", {
    from: "2026-12-20T00:00:00+01:00",
    until: "2027-01-04T00:00:00+01:00",
  });
  const [from, until] = [at("2026-12-19T23:00Z"), at("2027-01-03T23:00Z")];

  it.each([
    ["a millisecond before it begins", from - 1, false],
    ["when it begins", from, true],
    ["a millisecond before it ends", until - 1, true],
    ["when it ends", until, false],
  ])("%s", (_, now, holds) => {
    const active = [{ name: "holidays", reason: "reason of holidays", until }];
    expect(activeFreezes([holidays], {}, now)).toEqual(holds ? active : []);
  });

  it("changes when it begins, when it ends, and then no more", () => {
    expect(nextFreezeChange([holidays], {}, from - 1)).toBe(from);
    expect(nextFreezeChange([holidays], {}, from)).toBe(until);
    expect(nextFreezeChange([holidays], {}, until)).toBeUndefined();
  });

  it("without from holds at once, without until for as long as the resource exists", () => {
    const now = at("2026-11-25T12:00Z");
    const early = freeze("early", { until: "2027-01-01T00:00:00Z" });
    const late = freeze("late", { from: "2026-01-01T00:00:00Z" });
    const both = freeze("both", {});
    expect(activeFreezes([early, late, both], {}, now)).toEqual([
      { name: "early", reason: "reason of early", until: at("2027-01-01T00:00Z") },
      { name: "late", reason: "reason of late", until: undefined },
      { name: "both", reason: "reason of both", until: undefined },
    ]);
    expect(nextFreezeChange([late, both], {}, now)).toBeUndefined();
  });
});

describe("a freeze that recurs", () => {
  const weekends = freeze("weekends", {
    schedule: "0 16 * * FRI",
    timeZone: "Europe/Berlin",
    duration: "64h",
  });
  const [begins, ends] = [at("2026-11-27T15:00Z"), at("2026-11-30T07:00Z")];

  it("holds for the duration after each firing, and says until when", () => {
    expect(activeFreezes([weekends], {}, begins - 1)).toEqual([]);
    expect(activeFreezes([weekends], {}, begins)).toEqual([
      { name: "weekends", reason: "reason of weekends", until: ends },
    ]);
    expect(activeFreezes([weekends], {}, ends)).toEqual([]);
  });

  it("changes when it begins and when it ends, again and again", () => {
    expect(nextFreezeChange([weekends], {}, begins - 1)).toBe(begins);
    expect(nextFreezeChange([weekends], {}, begins)).toBe(ends);
    expect(nextFreezeChange([weekends], {}, ends)).toBe(at("2026-12-04T15:00Z"));
  });
});

describe("a freeze whose time cannot be read", () => {
  it.each<[string, Readonly<Record<string, unknown>>, RegExp]>([
    [
      "a schedule",
      { schedule: "every Friday", duration: "1h" },
      /^spec\.schedule "every Friday" is not a cron expression/,
    ],
    [
      "a time zone",
      { schedule: "0 0 * * *", timeZone: "Mars", duration: "1h" },
      /^spec\.timeZone "Mars"/,
    ],
    ["a duration", { schedule: "0 0 * * *", duration: "25h" }, /^spec\.duration is 25h, but/],
    [
      "a date",
      { from: "2026-02-30T99:00:00Z" },
      /^spec\.from "2026-02-30T99:00:00Z" is not a point in time: write one such as/,
    ],
    ["a day that no month has", { until: "2026-02-30T00:00:00Z" }, /^spec\.until "2026-02-30T/],
    ["another date", { until: "soon" }, /^spec\.until "soon" is not a point in time/],
  ])("because of %s holds, and says what to write", (_, spec, error) => {
    const broken = freeze("broken", spec);
    expect(activeFreezes([broken], {}, at("2026-11-25T12:00Z"))).toEqual([
      {
        name: "broken",
        reason: "reason of broken",
        until: undefined,
        error: expect.stringMatching(error),
      },
    ]);
    expect(nextFreezeChange([broken], {}, at("2026-11-25T12:00Z"))).toBeUndefined();
  });
});

describe("several freezes", () => {
  const shop = { namespaceSelector: { matchLabels: { team: "shop" } } };
  const freezes = [
    freeze("first", { ...shop, until: "2026-12-01T00:00:00Z" }),
    freeze("second", { from: "2026-11-20T00:00:00Z", until: "2026-11-28T00:00:00Z" }),
    freeze("third", { ...shop, from: "2026-11-26T00:00:00Z" }),
  ];
  const now = at("2026-11-25T00:00Z");
  const names = (labels: Labels, now: number): readonly string[] =>
    activeFreezes(freezes, labels, now).map(({ name }) => name);

  it("hold for the namespaces that they select", () => {
    expect(names({ team: "shop" }, now)).toEqual(["first", "second"]);
    expect(names({ team: "bank" }, now)).toEqual(["second"]);
    expect(names({}, now)).toEqual(["second"]);
  });

  it("change when the first of those that select the namespace does", () => {
    expect(nextFreezeChange(freezes, { team: "shop" }, now)).toBe(at("2026-11-26T00:00Z"));
    expect(nextFreezeChange(freezes, { team: "bank" }, now)).toBe(at("2026-11-28T00:00Z"));
  });

  it("hold for the same ones from one change to the next", () => {
    const moment = fc.integer({ min: at("2026-11-01T00:00Z"), max: at("2027-02-01T00:00Z") });
    const iso = (ms: number): string => new Date(ms).toISOString();
    const once = fc
      .record({ from: fc.option(moment), until: fc.option(moment) })
      .map(({ from, until }) => ({
        ...(from !== null && { from: iso(from) }),
        ...(until !== null && { until: iso(until) }),
      }));
    const recurring = fc.record({
      schedule: fc.constantFrom("0 16 * * 5", "30 2 * * *", "0 0 1,15 * *"),
      timeZone: fc.constantFrom("UTC", "Europe/Berlin"),
      duration: fc.constantFrom("1h", "90m", "20h"),
    });
    fc.assert(
      fc.property(
        fc.array(fc.oneof(once, recurring), { maxLength: 4 }),
        moment,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (specs, now, part) => {
          const freezes = specs.map((spec, index) => freeze(`freeze-${index}`, spec));
          const held = (time: number): unknown => activeFreezes(freezes, {}, time);
          const change = nextFreezeChange(freezes, {}, now) ?? at("2030-01-01T00:00Z");
          expect(change).toBeGreaterThan(now);
          expect(held(now + Math.floor((change - 1 - now) * part))).toEqual(held(now));
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("a label selector", () => {
  const expression = (
    operator: "In" | "NotIn" | "Exists" | "DoesNotExist",
    ...values: readonly string[]
  ): LabelSelector => ({ matchExpressions: [{ key: "stage", operator, values: [...values] }] });

  it.each<[string, LabelSelector, Labels, boolean]>([
    ["empty, selects everything", {}, {}, true],
    [
      "with an empty list and map, too",
      { matchLabels: {}, matchExpressions: [] },
      { a: "b" },
      true,
    ],
    ["with a label that is there", { matchLabels: { a: "b" } }, { a: "b", c: "d" }, true],
    ["with a label of another value", { matchLabels: { a: "b" } }, { a: "c" }, false],
    ["with a label that is missing", { matchLabels: { a: "" } }, {}, false],
    ["with an empty label that is there", { matchLabels: { a: "" } }, { a: "" }, true],
    ["In, one of the values", expression("In", "prod", "canary"), { stage: "prod" }, true],
    ["In, another value", expression("In", "prod"), { stage: "dev" }, false],
    ["In, no label", expression("In", "prod"), {}, false],
    ["NotIn, one of the values", expression("NotIn", "prod"), { stage: "prod" }, false],
    ["NotIn, another value", expression("NotIn", "prod"), { stage: "dev" }, true],
    ["NotIn, no label", expression("NotIn", "prod"), {}, true],
    ["Exists, empty", expression("Exists"), { stage: "" }, true],
    ["Exists, no label", expression("Exists"), {}, false],
    ["DoesNotExist, empty", expression("DoesNotExist"), { stage: "" }, false],
    ["DoesNotExist, no label", expression("DoesNotExist"), {}, true],
    [
      "with a name that every object inherits",
      { matchExpressions: [{ key: "constructor", operator: "Exists" }] },
      {},
      false,
    ],
    [
      "with labels and expressions, of which one is not met",
      { matchLabels: { a: "b" }, ...expression("Exists") },
      { a: "b" },
      false,
    ],
  ])("%s", (_, selector, labels, selected) => expect(selects(selector, labels)).toBe(selected));

  const key = fc.constantFrom("a", "b", "toString");
  const value = fc.constantFrom("", "x", "y");
  const labels = fc.dictionary(key, value, { noNullPrototype: true });
  const requirement = fc.oneof(
    fc.record({
      key,
      operator: fc.constantFrom("In" as const, "NotIn" as const),
      values: fc.array(value, { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ key, operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const) }),
  );
  const selector = fc.record(
    { matchLabels: labels, matchExpressions: fc.array(requirement, { maxLength: 3 }) },
    { requiredKeys: [] },
  );
  const only = (one: unknown): LabelSelector => ({ matchExpressions: [one] }) as LabelSelector;

  it("is met when each of its requirements is", () => {
    fc.assert(
      fc.property(selector, labels, (selector, labels) => {
        const { matchLabels = {}, matchExpressions = [] } = selector;
        const one = [
          ...Object.entries(matchLabels).map(([key, value]) =>
            only({ key, operator: "In", values: [value] }),
          ),
          ...matchExpressions.map(only),
        ];
        expect(selects(selector, labels)).toBe(one.every((part) => selects(part, labels)));
      }),
    );
  });

  it("has operators that are opposites of each other", () => {
    fc.assert(
      fc.property(key, fc.array(value, { minLength: 1 }), labels, (key, values, labels) => {
        const is = (operator: string): boolean => selects(only({ key, operator, values }), labels);
        expect(is("In")).toBe(!is("NotIn"));
        expect(is("Exists")).toBe(!is("DoesNotExist"));
        expect(!is("In") || is("Exists")).toBe(true);
      }),
    );
  });

  it("looks at no label that it does not name", () => {
    fc.assert(
      fc.property(selector, labels, value, (selector, labels, value) => {
        expect(selects(selector, { ...labels, other: value })).toBe(selects(selector, labels));
      }),
    );
  });
});

describe("the annotation aiapp.dev/override-freeze", () => {
  it.each<[string | undefined, boolean]>([
    ["holidays", true],
    [" holidays ", true],
    ["weekends,holidays", true],
    ["weekends, holidays", true],
    [undefined, false],
    ["", false],
    ["*", false],
    ["true", false],
    ["holidays-2027", false],
    ["holiday", false],
    ["weekends", false],
  ])("%j overrides the freeze holidays: %s", (value, overrides) => {
    expect(isOverridden({ name: "holidays" }, value)).toBe(overrides);
  });
});
