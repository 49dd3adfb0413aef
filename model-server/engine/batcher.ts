import { ServerError } from "../errors.ts";
import { concatRows, sliceRows } from "../tensor/rows.ts";
import type { Tensor, Tensors } from "../tensor/tensor.ts";
import type { Queue, Sized } from "./queue.ts";

/** Requests that share a run: tensors only. */
export interface Batchable extends Sized {
  readonly inputs: Tensors;
  readonly outputs: readonly string[];
  /** Requests with the same key may share a run; undefined runs alone. */
  readonly key: string | undefined;
}

export interface BatchLimits {
  readonly rows: number;
  readonly bytes: number;
}

/** What two requests must have in common to share a run: names, datatypes, and shapes, of which rows may differ. */
export function keyOf(inputs: Tensors, outputs: readonly string[], rowsDiffer = true): string {
  let key = outputs.join("\u0001");
  for (const [name, { datatype, dims }] of inputs)
    key += `\u0002${name}\u0001${datatype}\u0001${(rowsDiffer ? dims.slice(1) : dims).join(",")}`;
  return key;
}

/** Takes the first request of the queue, and those after it that may share its run, within the limits. */
export function takeBatch<T extends Batchable>(queue: Queue<T>, limits: BatchLimits): readonly T[] {
  const first = queue.first();
  if (first === undefined) return [];
  const batch = [first];
  if (first.key !== undefined) {
    let { rows, bytes } = first;
    for (const other of queue.entries()) {
      if (other === first || other.key !== first.key) continue;
      rows += other.rows;
      bytes += other.bytes;
      if (rows > limits.rows || bytes > limits.bytes) break;
      batch.push(other);
    }
  }
  for (const request of batch) queue.remove(request);
  return batch;
}

/** The inputs of a run for all of these. */
export function mergeInputs(batch: readonly Batchable[]): Tensors {
  const [first, ...others] = batch;
  if (first === undefined) return new Map();
  if (others.length === 0) return first.inputs;
  const merged = new Map<string, Tensor>();
  for (const name of first.inputs.keys())
    merged.set(name, concatRows(batch.flatMap(({ inputs }) => inputs.get(name) ?? [])));
  return merged;
}

/** Whether each output has so many rows: only then it is known which belong to which request. */
export function hasRows(outputs: Tensors, rows: number): boolean {
  return [...outputs.values()].every(({ dims }) => dims[0] === rows);
}

/** Each request's part of a run's outputs. @throws INTERNAL when the model did not answer row for row */
export function splitOutputs(outputs: Tensors, batch: readonly Batchable[]): readonly Tensors[] {
  if (batch.length === 1) return [outputs];
  const total = batch.reduce((sum, { rows }) => sum + rows, 0);
  for (const [name, { dims }] of outputs)
    if (dims[0] !== total)
      throw new ServerError(
        "INTERNAL",
        `the model gave ${dims[0] ?? "no"} rows of ${name} for ${total} rows of input`,
      );
  let from = 0;
  return batch.map(({ rows }) => {
    const to = from + rows;
    const part = new Map<string, Tensor>();
    for (const [name, tensor] of outputs) part.set(name, sliceRows(tensor, from, to));
    from = to;
    return part;
  });
}
