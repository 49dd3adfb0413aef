import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";

import { findDifference } from "./compare.ts";

const TIME = "Computed in 12 ms";

/** A response in the tutorial's form. */
function tutorial(scores: unknown, time = TIME): unknown {
  return { result: [scores, time] };
}

const json = fc.jsonValue({ maxDepth: 4 });
/** A tree of arrays and objects with numbers in it, such as tensors and classes. */
const tree = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.integer({ min: -1000, max: 1000 }),
    fc.constantFrom("cat", "dog", null, true),
    fc.array(tie("node"), { maxLength: 4 }),
    fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), tie("node"), { maxKeys: 3 }),
  ),
})).node;

/** The numbers of a tree with their paths. */
function leaves(value: unknown, path: string): readonly string[] {
  if (typeof value === "number") return [path];
  if (Array.isArray(value))
    return value.flatMap((part, index) => leaves(part, `${path}[${index}]`));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) => leaves(part, `${path}.${key}`));
}

/** The tree with one of its numbers changed. */
function moved(value: unknown, path: string, target: string, by: number): unknown {
  if (typeof value === "number") return path === target ? value + by : value;
  if (Array.isArray(value))
    return value.map((part, index) => moved(part, `${path}[${index}]`, target, by));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [key, moved(part, `${path}.${key}`, target, by)]),
  );
}

const treeWithLeaf = tree
  .map((value) => ({ value: [value], paths: leaves([value], "response") }))
  .filter(({ paths }) => paths.length > 0)
  .chain(({ value, paths }) =>
    fc.record({ value: fc.constant(value), path: fc.constantFrom(...paths) }),
  );

describe("any response", () => {
  it("equals itself, whatever its form", () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(findDifference(value, { expected: value, tolerance: 0 })).toBeUndefined();
        const timed = tutorial(value);
        expect(findDifference(timed, { expected: value, tolerance: 0 })).toBeUndefined();
      }),
    );
  });

  it("may differ in a number by the tolerance", () => {
    fc.assert(
      fc.property(treeWithLeaf, fc.constantFrom(-2, -1, 0, 1, 2), ({ value, path }, by) => {
        const response = moved(value, "response", path, by);
        expect(findDifference(response, { expected: value, tolerance: 2 })).toBeUndefined();
      }),
    );
  });

  it("that differs in a number by more is reported by the number's path", () => {
    fc.assert(
      fc.property(treeWithLeaf, fc.constantFrom(-5, 3), ({ value, path }, by) => {
        const response = moved(value, "response", path, by);
        expect(findDifference(response, { expected: value, tolerance: 2 })).toMatch(
          `${path}: expected `,
        );
      }),
    );
  });

  it("may differ in a large number by more, which is reported where it is not enough", () => {
    const sample = { expected: [[250_000.5]], tolerance: 0.01 };
    expect(findDifference([[250_010.25]], sample)).toBeUndefined();
    expect(findDifference([[250_030.25]], sample)).toBe(
      "response[0][0]: expected 250000.5 ± 25, got 250030.25",
    );
  });

  it("is compared with any expected value into at most one short sentence", () => {
    fc.assert(
      fc.property(json, json, (response, expected) => {
        const difference = findDifference(response, { expected, tolerance: 0 });
        expect(difference ?? "").toMatch(/^(?:|(?:response|result\[0\]).*: expected .*, got .*)$/u);
        expect((difference ?? "").length).toBeLessThan(2000);
      }),
    );
  });

  it("of another length is another response", () => {
    fc.assert(
      fc.property(fc.array(json), json, (values, more) => {
        expect(findDifference([...values, more], { expected: values, tolerance: 1e300 })).toBe(
          `response: expected an array of ${values.length}, got an array of ${values.length + 1}`,
        );
      }),
    );
  });
});

describe("scores", () => {
  const expected = [
    [
      ["cat", 98.61],
      ["dog", 1.39],
    ],
  ];

  test.each([
    [
      "of another value",
      [
        [
          ["cat", 12.3],
          ["dog", 1.39],
        ],
      ],
      "result[0][0][0][1]: expected 98.61 ± 0.5, got 12.3",
    ],
    [
      "of another order",
      [
        [
          ["dog", 1.39],
          ["cat", 98.61],
        ],
      ],
      'result[0][0][0][0]: expected "cat", got "dog"',
    ],
    [
      "of fewer classes",
      [[["cat", 98.61]]],
      "result[0][0]: expected an array of 2, got an array of 1",
    ],
    [
      "of numbers as text",
      [
        [
          ["cat", "98.61"],
          ["dog", 1.39],
        ],
      ],
      'result[0][0][0][1]: expected 98.61, got "98.61"',
    ],
    ["that are not there", null, "result[0]: expected an array of 1, got null"],
  ])("%s differ", (_, scores, difference) => {
    expect(findDifference(tutorial(scores), { expected, tolerance: 0.5 })).toBe(difference);
  });

  it("are compared without the time that the response took", () => {
    const sample = { expected: tutorial(expected, "Computed in 3 ms"), tolerance: 0 };
    expect(findDifference(tutorial(expected), sample)).toBeUndefined();
  });

  it("without a time are compared as a whole", () => {
    const sample = { expected: { result: expected }, tolerance: 0 };
    expect(findDifference({ result: expected }, sample)).toBeUndefined();
    expect(findDifference({ result: [1] }, sample)).toMatch(/^response\.result\[0\]: /);
  });
});

describe("an object", () => {
  it("may have fields that the sample does not name", () => {
    const response = { outputs: [{ name: "y", data: [1, 2] }], model_version: "8", id: "x" };
    const sample = { expected: { outputs: [{ data: [1, 2] }] }, tolerance: 0 };
    expect(findDifference(response, sample)).toBeUndefined();
  });

  it("has only fields of its own", () => {
    const sample = { expected: { constructor: 1 }, tolerance: 0 };
    expect(findDifference({}, sample)).toBe("response.constructor: expected 1, got nothing");
  });
});

test("text is quoted in short and without control characters", () => {
  const response = `\u001b[31m${"x".repeat(1_000_000)}`;
  const difference = findDifference(response, { expected: "y", tolerance: 0 }) ?? "";
  expect(difference).toBe(`response: expected "y", got "[31m${"x".repeat(96)}"`);
});
