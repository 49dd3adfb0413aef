import { expect, test } from "vitest";

import type { Engine, Run } from "../engine/engine.ts";
import type { Port } from "../engine/signature.ts";
import { ServerError } from "../errors.ts";
import { numbersOf } from "../tensor/numbers.ts";
import { arrays, type Datatype, type Tensor, type Tensors } from "../tensor/tensor.ts";
import { warmUp } from "./warm-up.ts";

const never = new AbortController().signal;

/** An engine of one worker that rejects zeros; it keeps what it runs. */
function rejectingZeros(inputs: readonly Port[], seen: Tensors[]): Engine {
  const run: Run = async (tensors) => {
    seen.push(tensors);
    if (seen.length === 1) throw new ServerError("REQUEST_INVALID", "no zeros");
    return new Map();
  };
  return {
    signature: { inputs, outputs: [], batch: { kind: "fixed", rows: 2 } },
    run,
    perWorker: [run],
    state: () => "ready",
    waiting: () => 0,
    close: async () => {},
  };
}

function valuesOf(tensors: Tensors | undefined): unknown {
  return [...(tensors?.values() ?? [])].map((tensor: Tensor) => [
    tensor.datatype,
    [...(numbersOf(tensor) ?? [])],
  ]);
}

test("zeros and ones are those of each datatype", async () => {
  const datatypes = Object.keys(arrays) as Datatype[];
  const ports = datatypes.map((name) => ({ name, datatype: name, dims: [2] }));
  const seen: Tensors[] = [];
  await warmUp(rejectingZeros(ports, seen), undefined, undefined, never);
  const [zeros, ones] = seen;
  expect(valuesOf(zeros)).toEqual(datatypes.map((datatype) => [datatype, [0, 0]]));
  expect(valuesOf(ones)).toEqual(datatypes.map((datatype) => [datatype, [1, 1]]));
});

test("a model whose input cannot be made is warmed up by its sample, and by nothing without one", async () => {
  const text: Port = { name: "text", datatype: "BYTES", dims: [undefined] };
  const seen: Tensors[] = [];
  const engine = rejectingZeros([text], seen);
  const scored: Run[] = [];
  const scoreSample = async (run: Run): Promise<void> => void scored.push(run);
  expect(await warmUp(engine, undefined, scoreSample, never)).toBeUndefined();
  expect(scored).toEqual(engine.perWorker);
  expect(await warmUp(engine, undefined, undefined, never)).toBeUndefined();
  expect(seen).toEqual([]);
});
