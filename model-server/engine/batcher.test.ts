import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { createTensor, type Tensor } from "../tensor/tensor.ts";
import { keyOf, mergeInputs, splitOutputs, takeBatch, type Batchable } from "./batcher.ts";
import { createQueue, type Queue } from "./queue.ts";

interface Named extends Batchable {
  readonly name: string;
}

/** A request of so many rows of three numbers, each of which is `value`. */
function request(name: string, rows: number, value = 0, width = 3): Named {
  const tensor = createTensor("FP32", [rows, width], new Float32Array(rows * width).fill(value));
  const inputs = new Map([["x", tensor]]);
  return { name, rows, bytes: rows * width * 4, inputs, outputs: ["y"], key: keyOf(inputs, ["y"]) };
}

function queueOf(requests: readonly Named[]): Queue<Named> {
  const queue = createQueue<Named>({ requests: 100, rows: 1000, bytes: 2 ** 20 });
  for (const one of requests) queue.add(one);
  return queue;
}

function take(queue: Queue<Named>, rows = 100, bytes = 2 ** 20): string[] {
  return takeBatch(queue, { rows, bytes }).map(({ name }) => name);
}

describe("a batch", () => {
  test("takes the requests of one shape in their order, and leaves the others", () => {
    const queue = queueOf([
      request("a", 1),
      request("wide", 1, 0, 4),
      request("b", 2),
      { ...request("alone", 1), key: undefined },
      request("c", 1),
    ]);
    expect(take(queue)).toEqual(["a", "b", "c"]);
    expect(take(queue)).toEqual(["wide"]);
    expect(take(queue)).toEqual(["alone"]);
    expect(take(queue)).toEqual([]);
  });

  test("ends before the rows or the bytes that it may have", () => {
    const requests = [request("a", 2), request("b", 2), request("c", 2)];
    expect(take(queueOf(requests), 4)).toEqual(["a", "b"]);
    expect(take(queueOf(requests), 5)).toEqual(["a", "b"]);
    expect(take(queueOf(requests), 100, 24)).toEqual(["a"]);
    expect(take(queueOf([request("large", 50)]), 4)).toEqual(["large"]);
  });

  test("gives each request its own rows back, whatever shares the run", () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(sizes, (rows) => {
        const batch = rows.map((count, index) => request(`${index}`, count, index + 1));
        const merged = mergeInputs(batch);
        // A model that answers with its input.
        const parts = splitOutputs(new Map([["y", merged.get("x") ?? fail()]]), batch);
        expect(parts.map((part) => part.get("y"))).toEqual(
          batch.map(({ inputs }) => inputs.get("x")),
        );
      }),
    );
  });

  test("is not split when the model gave another number of rows", () => {
    const batch = [request("a", 1), request("b", 2)];
    const outputs = new Map([["y", createTensor("FP32", [1, 3], new Float32Array(3))]]);
    expect(() => splitOutputs(outputs, batch)).toThrow("the model gave 1 rows of y for 3 rows");
  });
});

function fail(): Tensor {
  throw new Error("no tensor");
}
