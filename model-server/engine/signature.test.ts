import { describe, expect, test } from "vitest";

import { batchOf, rowsOf, withBatching, type DeclaredDims, type Signature } from "./signature.ts";

describe("the batch of a model", () => {
  test.each(["N", "batch", "batch_size", "Batch", "BATCH", "unk_batch_1"])(
    "is shared by requests where all inputs and outputs begin with the name %s",
    (name) => {
      expect(batchOf([[name, 4], [name]], [[name], [name, 3]])).toEqual({ kind: "shared" });
    },
  );

  test.each(["n", "b", "B", "bs", "row", "rows", "samples", "num_examples", "None", "seq", ""])(
    "is free where the first dimension has the name %j, which elements that belong together may have",
    (name) => {
      expect(batchOf([[name, 4], [name]], [[name], [name, 3]])).toEqual({ kind: "free" });
    },
  );

  test.each([
    ["as an exporter made it", "Softmaxoutput_dim_0"],
    ["without a name", ""],
    ["of what is found", "dets"],
  ])("is free where an output begins with another name, %s", (_, name) => {
    expect(
      batchOf(
        [["batch", 4]],
        [
          ["batch", 2],
          [name, 3],
        ],
      ),
    ).toEqual({ kind: "free" });
  });

  const rows = [4, 3];
  test.each<[string, DeclaredDims[], DeclaredDims[], object]>([
    ["fixed where all have as many rows", [rows, [4, 1]], [[4, 2]], { kind: "fixed", rows: 4 }],
    ["fixed at one row, also with one number for it", [[1, 3]], [[1]], { kind: "fixed", rows: 1 }],
    ["none where an input is a vector", [[4]], [[4]], { kind: "none" }],
    ["none where an input is a vector of one", [[1, 3], [1]], [[1, 3]], { kind: "none" }],
    ["none where an output is a vector", [rows], [[4]], { kind: "none" }],
    ["none where an output has another size", [[1, 3]], [[3]], { kind: "none" }],
    ["none where an output is free", [[1, 3]], [["dets", 6]], { kind: "none" }],
    ["none where an output is fixed", [["batch", 3]], [[1, 3]], { kind: "none" }],
    [
      "none where inputs have other names",
      [
        ["m", "k"],
        ["k", "n"],
      ],
      [["m", "n"]],
      { kind: "none" },
    ],
    ["none where an input is a scalar", [["N", 2], []], [["N", 2]], { kind: "none" }],
    ["none where an output is a scalar", [["N", 2]], [[]], { kind: "none" }],
    ["none without inputs", [], [[3]], { kind: "none" }],
    ["none where the size is 0", [[0, 3]], [[0, 3]], { kind: "none" }],
  ])("is %s", (_, inputs, outputs, expected) => {
    expect(batchOf(inputs, outputs)).toEqual(expected);
  });
});

describe("an output", () => {
  test.each<[string, DeclaredDims, DeclaredDims[], string]>([
    ["each row, by the same name", ["batch", 3], [["batch", 4], []], "each"],
    ["each row, by the same size", [4, 3], [[4, 2]], "each"],
    ["the one row", [1], [[1, 2]], "each"],
    ["perhaps each row, by another name", ["dets", 3], [["batch", 4]], "perhaps"],
    ["perhaps each row, where names are left out", ["", 3], [["", 4]], "perhaps"],
    ["perhaps each row, where it was not exported as free", [1, 3], [["batch", 4]], "perhaps"],
    ["perhaps each row, with a number for it", [4], [[4, 2]], "perhaps"],
    [
      "perhaps each row of several inputs",
      ["c", 3],
      [
        ["a", 4],
        ["b", 4],
      ],
      "perhaps",
    ],
    [
      "no row of several inputs, by the name of one",
      ["m", "n"],
      [
        ["m", "k"],
        ["k", "n"],
      ],
      "none",
    ],
    [
      "perhaps each row of several inputs, by the name of one",
      ["user", 3],
      [
        ["user", 4],
        ["item", 4],
      ],
      "perhaps",
    ],
    ["no row, by another size", [3], [[1, 3]], "none"],
    ["no row of a vector", [4], [[4]], "none"],
    ["no row, as a scalar", [], [["N", 3]], "none"],
    ["no row of scalars", ["k"], [[]], "none"],
  ])("has a row for %s", (_, output, inputs, expected) => {
    expect(rowsOf(output, inputs)).toBe(expected);
  });
});

describe("BATCHING", () => {
  const port = (first?: number) => ({ name: "x", datatype: "FP32", dims: [first, 2] }) as const;
  const signature = (kind: "shared" | "free" | "none", first?: number): Signature => ({
    inputs: [port()],
    outputs: [{ ...port(first), rows: "perhaps" }],
    batch: { kind },
  });
  const fixed: Signature = {
    inputs: [port(4)],
    outputs: [{ ...port(4), rows: "each" }],
    batch: { kind: "fixed", rows: 4 },
  };

  test("at auto changes nothing", () => {
    for (const one of [signature("shared"), signature("free"), fixed])
      expect(withBatching(one, "auto")).toBe(one);
  });

  test("at on makes a batch of every free dimension, whatever its name and that of outputs", () => {
    for (const one of [signature("free"), signature("none", 1)])
      expect(withBatching(one, "on")).toMatchObject({
        batch: { kind: "shared" },
        outputs: [{ rows: "each" }],
      });
    expect(withBatching(fixed, "on")).toBe(fixed);
  });

  test("at on makes none of scalars", () => {
    const scalar = { ...port(), dims: [] };
    const beside: Signature = { ...signature("none"), inputs: [port(), scalar] };
    const given: Signature = { ...signature("none"), outputs: [{ ...scalar, rows: "none" }] };
    for (const one of [beside, given]) expect(withBatching(one, "on")).toBe(one);
  });

  test("at off leaves none that requests share, or that is filled", () => {
    expect(withBatching(signature("shared"), "off").batch).toEqual({ kind: "free" });
    expect(withBatching(fixed, "off").batch).toEqual({ kind: "none" });
  });
});
