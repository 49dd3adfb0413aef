import { describe, expect, test } from "vitest";

import type { Engine } from "../engine/engine.ts";
import type { Batch } from "../engine/signature.ts";
import { createTensor, type Tensor, type Tensors } from "../tensor/tensor.ts";
import { runInParts } from "./run.ts";

const never = new AbortController().signal;

/** A model that answers with its input, and the rows of each of its runs. */
function echo(batch: Batch): { engine: Engine; runs: number[][] } {
  const runs: number[][] = [];
  return {
    runs,
    engine: {
      signature: { inputs: [], outputs: [], batch },
      run: async (inputs) => {
        const x = inputs.get("x");
        runs.push(Array.from(x?.data ?? [], Number));
        return new Map(x === undefined ? [] : [["y", x]]);
      },
      perWorker: [],
      state: () => "ready",
      waiting: () => 0,
      close: async () => {},
    },
  };
}

function rows(values: readonly number[]): Tensor {
  return createTensor("INT32", [values.length, 1], Int32Array.from(values));
}

async function run(engine: Engine, inputs: Tensors): Promise<Tensor | undefined> {
  const options = { batch: engine.signature.batch, maxRows: 2 };
  return (await runInParts(engine, inputs, ["y"], options, never)).get("y");
}

describe("inputs of five rows", () => {
  const five = rows([1, 2, 3, 4, 5]);

  test("run in parts where requests share runs", async () => {
    const { engine, runs } = echo({ kind: "shared" });
    expect(await run(engine, new Map([["x", five]]))).toEqual(five);
    expect(runs).toEqual([[1, 2], [3, 4], [5]]);
  });

  test("run in the model's fixed batch, the last one padded with zeros that never come back", async () => {
    const { engine, runs } = echo({ kind: "fixed", rows: 4 });
    expect(await run(engine, new Map([["x", five]]))).toEqual(five);
    expect(runs).toEqual([
      [1, 2, 3, 4],
      [5, 0, 0, 0],
    ]);
  });

  test.each(["free", "none"] as const)("run whole where the batch is %s", async (kind) => {
    const { engine, runs } = echo({ kind });
    expect(await run(engine, new Map([["x", five]]))).toEqual(five);
    expect(runs).toEqual([[1, 2, 3, 4, 5]]);
  });

  test("are rejected beside an input of other rows", async () => {
    const { engine } = echo({ kind: "shared" });
    const inputs = new Map([
      ["x", five],
      ["z", rows([1])],
    ]);
    await expect(run(engine, inputs)).rejects.toMatchObject({
      code: "REQUEST_INVALID",
      message: "the inputs have 5 and 1 rows: every input needs as many",
    });
  });

  test("of text are padded with empty strings", async () => {
    const { engine } = echo({ kind: "fixed", rows: 2 });
    const text = createTensor("BYTES", [3], ["a", "b", "c"]);
    expect(await run(engine, new Map([["x", text]]))).toEqual(text);
  });
});
