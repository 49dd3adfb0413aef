import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { phases, type Phase } from "../../../crds/aiapp/status.ts";
import type { Journal } from "../../../crds/journal.ts";
import { append, lastOf, readJournal, writeJournal } from "./journal.ts";

const entry = (phase: Phase, second: number) => ({
  phase,
  at: new Date(Date.UTC(2026, 2, 1, 8, 0, second)).toISOString(),
});

function journal(list: readonly Phase[]): Journal {
  return list.reduce<Journal>((made, phase, second) => append(made, entry(phase, second)), []);
}

describe("a journal", () => {
  it("reads back as it was written", () => {
    const made = append(journal(["RollingOut"]), {
      ...entry("Failed", 9),
      reason: "PodCrashing",
      message: "exit code 1",
    });
    expect(readJournal(writeJournal(made))).toEqual(made);
  });

  it("is read without entries whose time is none: users can edit annotations", () => {
    const times = [
      "",
      "now",
      "2026-02-30T08:00:00Z",
      "+275760-09-13T00:00:00Z",
      "8640000000000001",
    ];
    const made = times.map((at) => ({ phase: "Released", at }) as const);
    expect(readJournal(writeJournal([...made, entry("Failed", 9)]))).toEqual([entry("Failed", 9)]);
  });

  it("is bounded, and never loses its last release", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...phases), { minLength: 1, maxLength: 300, size: "max" }),
        (list) => {
          const made = journal(list);
          expect(made.length).toBeLessThanOrEqual(41);
          expect(made.at(-1)?.phase).toBe(list.at(-1));
          const last = list.lastIndexOf("Released");
          expect(lastOf(made, "Released")).toEqual(last < 0 ? undefined : entry("Released", last));
          expect(made.map(({ at }) => at)).toEqual(made.map(({ at }) => at).toSorted());
        },
      ),
    );
  });

  it("keeps a bounded part of a long message", () => {
    const made = append([], { ...entry("Failed", 0), message: "x".repeat(100_000) });
    expect(made[0]?.message).toHaveLength(1024);
  });

  it.each(["", "{", "{}", "null", "[1]", '[{"phase":"Dreaming","at":"2026-03-01T08:00:00Z"}]'])(
    "reads text that is no journal as an empty one (%j)",
    (text) => {
      expect(readJournal(text)).toEqual([]);
    },
  );

  it("leaves out the phases of a newer operator, and keeps unknown members", () => {
    const text = JSON.stringify([
      { ...entry("RollingOut", 0), weight: 20 },
      { ...entry("Released", 1), phase: "Dreaming" },
      entry("Released", 2),
    ]);
    expect(readJournal(text)).toEqual([
      { ...entry("RollingOut", 0), weight: 20 },
      entry("Released", 2),
    ]);
  });
});
