import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { describeFault, faultOf } from "./json-fault.ts";

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** With numbers, escapes and whitespace as other programs write them. */
const json = fc
  .tuple(fc.jsonValue({ maxDepth: 4 }), fc.constantFrom(0, 2, "\t"))
  .map(([value, space]) => JSON.stringify(value, undefined, space));

describe("the place where text stops being JSON", () => {
  test("is found in all text that JSON.parse rejects, and in no other", () => {
    const changed = fc
      .tuple(
        json,
        fc.array(
          fc.tuple(fc.nat(), fc.constantFrom(...'"\\[]{},:019.-+eEu \n\u0000tfnaé'), fc.boolean()),
          { minLength: 1, maxLength: 3 },
        ),
      )
      .map(([text, changes]) =>
        changes.reduce((all, [place, unit, isMore]) => {
          const at = place % (all.length + 1);
          return all.slice(0, at) + unit + all.slice(isMore ? at : at + 1);
        }, text),
      );
    const seen = new Set<boolean>();
    fc.assert(
      fc.property(fc.oneof(json, changed), (text) => {
        seen.add(isJson(text));
        expect(faultOf(text) === undefined).toBe(isJson(text));
      }),
      { numRuns: 5000 },
    );
    expect(seen).toEqual(new Set([true, false]));
  });

  test("is that of a character which no JSON has", () => {
    fc.assert(
      fc.property(json, fc.nat(), (text, place) => {
        const at = place % (text.length + 1);
        expect(faultOf(`${text.slice(0, at)}\u0001${text.slice(at)}`)?.at).toBe(at);
      }),
    );
  });

  test("is the end of text that is cut, unless the rest is JSON as well", () => {
    fc.assert(
      fc.property(json, fc.nat(), (text, place) => {
        const cut = text.slice(0, place % text.length);
        const expected = isJson(cut) ? undefined : { at: cut.length, isBehindValue: false };
        expect(faultOf(cut)).toEqual(expected);
      }),
    );
  });

  test("of long text is found without many calls", () => {
    const text = `["${"\\n".repeat(2_500_000)}", ${"9".repeat(5_000_000)} x]`;
    expect(faultOf(text)?.at).toBe(text.length - 2);
  });
});

test.each([
  [
    "[1,\n  NaN]",
    '"N" at line 2, column 3 cannot stand there: JSON has no NaN: send "NaN" as text',
  ],
  [
    "[-Infinity]",
    '"I" at line 1, column 3 cannot stand there: JSON has no infinities: send "Infinity" or "-Infinity" as text',
  ],
  ["[True]", '"T" at line 1, column 2 cannot stand there: JSON has true, false and null'],
  ["{'a': 1}", '"\'" at line 1, column 2 cannot stand there: JSON has double quotes around text'],
  ["[1, 2,]", '"]" at line 1, column 7 cannot stand there'],
  ["[1] 😀", 'it goes on behind its end, with "😀" at line 1, column 5'],
  ['["a', "it ends too soon, at line 1, column 4: check that it is sent whole"],
])("%j: %s", (text, description) => {
  const fault = faultOf(text);
  expect(fault && describeFault(text, fault)).toBe(description);
});
