import type { Engine } from "../engine/engine.ts";
import type { Preprocessing } from "../bundle/preprocessing.ts";
import type { Port } from "../engine/signature.ts";
import { shapeOf } from "../images/shape.ts";
import {
  createData,
  createTensor,
  elementsOf,
  type Tensor,
  type Tensors,
} from "../tensor/tensor.ts";

/**
 * Runs the model once on zeros in each worker, at the shape that will be served: the first run is slower than the others.
 * @returns the outputs; undefined where free dimensions beside the batch have no size to run at, or text has no value
 *   that every model takes
 * @throws REQUEST_INVALID with the runtime's message
 */
export async function warmUp(
  engine: Engine,
  preprocessing: Preprocessing | undefined,
  signal: AbortSignal,
): Promise<Tensors | undefined> {
  const { inputs, outputs, batch } = engine.signature;
  const rows = batch.kind === "fixed" ? batch.rows : 1;
  const names = outputs.map(({ name }) => name);
  const runs: Promise<Tensors>[] = [];
  for (const run of engine.perWorker) {
    // A run takes its inputs' memory: each gets its own.
    const zeros = zerosOf(inputs, preprocessing, rows);
    if (zeros === undefined) return undefined;
    runs.push(run(zeros, names, signal));
  }
  const [first] = await Promise.all(runs);
  return first;
}

function zerosOf(
  inputs: readonly Port[],
  preprocessing: Preprocessing | undefined,
  rows: number,
): Tensors | undefined {
  const zeros = new Map<string, Tensor>();
  for (const port of inputs) {
    const dims = dimsOf(port, preprocessing, rows);
    if (dims === undefined || port.datatype === "BYTES") return undefined;
    zeros.set(
      port.name,
      createTensor(port.datatype, dims, createData(port.datatype, elementsOf(dims))),
    );
  }
  return zeros;
}

function dimsOf(
  port: Port,
  preprocessing: Preprocessing | undefined,
  rows: number,
): readonly number[] | undefined {
  const isImage = preprocessing !== undefined && (preprocessing.input ?? port.name) === port.name;
  const [first, ...rest] = port.dims;
  const row = isImage ? shapeOf(preprocessing) : rest;
  const dims = port.dims.length === 0 ? [] : [first ?? rows, ...row];
  const known = dims.filter((dim) => dim !== undefined);
  return known.length === dims.length ? known : undefined;
}
