import type { Engine } from "../engine/engine.ts";
import type { Batch } from "../engine/signature.ts";
import { ServerError } from "../errors.ts";
import type { OnStage } from "../stages.ts";
import { concatRows, padRows, sliceRows } from "../tensor/rows.ts";
import type { Tensor, Tensors } from "../tensor/tensor.ts";

export interface RunOptions {
  /** What the first dimension of the inputs is. */
  readonly batch: Batch;
  /** Of one run. */
  readonly maxRows: number;
}

/**
 * Runs inputs of any number of rows. A model of a fixed batch runs in batches of that size, the last one padded; one
 * whose requests share runs in parts of `maxRows`, so that a run's memory is bounded. Other models take the inputs as they
 * are.
 * @throws REQUEST_INVALID where parts have outputs of another number of rows, and what the engine throws
 */
export async function runInParts(
  engine: Engine,
  inputs: Tensors,
  outputs: readonly string[],
  { batch, maxRows }: RunOptions,
  signal: AbortSignal,
  onStage?: OnStage,
): Promise<Tensors> {
  if (batch.kind === "free" || batch.kind === "none")
    return engine.run(inputs, outputs, signal, onStage);
  const rows = rowsOf(inputs);
  const size = batch.kind === "fixed" ? batch.rows : maxRows;
  if (rows === size || (rows < size && batch.kind === "shared"))
    return engine.run(inputs, outputs, signal, onStage);
  const parts: Tensors[] = [];
  for (let from = 0; from < rows; from += size) {
    const to = Math.min(rows, from + size);
    const length = batch.kind === "fixed" ? size : to - from;
    const part = mapTensors(inputs, (tensor) => {
      const slice = sliceRows(tensor, from, to);
      return to - from < length ? padRows(slice, length) : concatRows([slice]);
    });
    const result = await engine.run(part, outputs, signal, onStage);
    checkRows(result, length, batch.kind === "fixed" ? size : `at most ${size}`);
    parts.push(mapTensors(result, (tensor) => sliceRows(tensor, 0, to - from)));
  }
  return new Map(
    outputs.map((name) => [name, concatRows(parts.flatMap((part) => part.get(name) ?? []))]),
  );
}

/** @throws REQUEST_INVALID when inputs differ in their rows */
function rowsOf(inputs: Tensors): number {
  const counts = new Set([...inputs.values()].map(({ dims }) => dims[0] ?? 1));
  const [rows = 1, ...others] = counts;
  if (others.length === 0) return rows;
  throw new ServerError(
    "REQUEST_INVALID",
    `the inputs have ${[...counts].join(" and ")} rows: every input needs as many`,
  );
}

/** The rows of a part are cut from the outputs by number. @throws REQUEST_INVALID saying how many rows run whole */
function checkRows(outputs: Tensors, rows: number, whole: number | string): void {
  for (const [name, { dims }] of outputs)
    if (dims[0] !== rows)
      throw new ServerError(
        "REQUEST_INVALID",
        `the model gave ${dims[0] ?? "no"} rows of ${name} for ${rows} rows of input, so that the rows of a request cannot be separated: send ${whole} rows at once`,
      );
}

function mapTensors(tensors: Tensors, map: (tensor: Tensor) => Tensor): Tensors {
  const mapped = new Map<string, Tensor>();
  for (const [name, tensor] of tensors) mapped.set(name, map(tensor));
  return mapped;
}
