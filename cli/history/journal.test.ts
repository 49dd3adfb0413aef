import { expect, test } from "vitest";

import { askerOf, readJournals } from "./journal.ts";

function record(id: string | undefined, journal: unknown): unknown {
  return {
    metadata: {
      labels: { "aiapp.dev/app": "digits", ...(id !== undefined && { "aiapp.dev/release": id }) },
      annotations: {
        "aiapp.dev/journal": typeof journal === "string" ? journal : JSON.stringify(journal),
      },
    },
  };
}

test("has the duration of each phase but the last, which goes on", () => {
  const items = [
    record("one", [
      { phase: "Verifying", at: "2026-01-02T09:00:00.000Z" },
      { phase: "RollingOut", at: "2026-01-02T09:00:12.500Z", reason: "Verified", by: "a" },
      { phase: "Released", at: "2026-01-02T09:01:00.000Z" },
    ]),
  ];
  const durations = readJournals({ items })
    .get("one")
    ?.map(({ phase, durationMs }) => [phase, durationMs]);
  expect(durations).toEqual([
    ["Verifying", 12_500],
    ["RollingOut", 47_500],
    ["Released", undefined],
  ]);
});

test("of two records of one release, the one that was written last counts", () => {
  const old = record("one", [{ phase: "Superseded", at: "2026-01-02T09:00:00.000Z" }]);
  const recent = record("one", [{ phase: "Released", at: "2026-01-03T09:00:00.000Z" }]);
  for (const items of [
    [old, recent],
    [recent, old],
  ]) {
    expect(readJournals({ items }).get("one")).toMatchObject([{ phase: "Released" }]);
  }
});

test("leaves out what it cannot read, and keeps phases and members that it does not know", () => {
  const at = "2026-01-02T09:00:00.000Z";
  const items = [
    record("cut", '[{"phase":"Verif'),
    record("text", '"Released"'),
    record(undefined, [{ phase: "Released", at: "2026-01-02T09:00:00.000Z" }]),
    record("newer", [
      null,
      7,
      { phase: "Released" },
      { phase: "Soaking", at, step: 3 },
      { phase: "Failed", at: "now" },
    ]),
  ];
  expect([...readJournals({ items })]).toEqual([["newer", [{ phase: "Soaking", at }]]]);
  expect(readJournals({ kind: "Status" }).size).toBe(0);
});

test("who asked for a release is in its last attempt, whichever phase has it", () => {
  const at = "2026-01-02T09:00:00.000Z";
  const approved = [
    { phase: "AwaitingApproval", at },
    { phase: "RollingOut", at, by: "ann" },
    { phase: "Released", at },
  ];
  expect(askerOf(approved)).toBe("ann");
  expect(askerOf([...approved, { phase: "RollingOut", at }])).toBeUndefined();
  expect(
    askerOf([
      { phase: "Verifying", at },
      { phase: "Failed", at, by: "bob" },
    ]),
  ).toBe("bob");
  expect(askerOf([])).toBeUndefined();
});
