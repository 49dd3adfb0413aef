import type { Engine, Run } from "../engine/engine.ts";
import { reasonOfRejection } from "../engine/runtime-errors.ts";
import type { Preprocessing } from "../bundle/preprocessing.ts";
import type { Port } from "../engine/signature.ts";
import { invalidBundle, ServerError } from "../errors.ts";
import { shapeOf } from "../images/shape.ts";
import { encodeHalf } from "../tensor/half.ts";
import { isOneImage } from "./image-input.ts";
import {
  arrays,
  createTensor,
  elementsOf,
  type NumericDatatype,
  type Tensor,
  type TensorData,
  type Tensors,
} from "../tensor/tensor.ts";

/** Models may reject zeros, such as for a divisor or a shape; few of them reject ones as well. */
const VALUES = [0, 1] as const;

/**
 * Runs the model once in each worker, at the shape that will be served: the first run is slower than the others. It runs on
 * zeros; on ones where the model rejects these; and on the bundle's first sample where it rejects both, or where the model
 * does not say enough to make an input of.
 * @param scoreSample scores the sample by the runs of one worker; undefined without a sample
 * @returns the outputs of zeros or ones; undefined where free dimensions beside the batch have no size to run at, text has
 *   no value that every model takes, or both are rejected
 * @throws BUNDLE_INVALID when the model rejects zeros and ones, and there is no sample
 */
export async function warmUp(
  engine: Engine,
  preprocessing: Preprocessing | undefined,
  scoreSample: ((run: Run) => Promise<unknown>) | undefined,
  signal: AbortSignal,
): Promise<Tensors | undefined> {
  let rejection: ServerError | undefined;
  for (const value of VALUES) {
    try {
      const outputs = await runOn(value, engine, preprocessing, signal);
      if (outputs !== undefined) return outputs;
    } catch (error) {
      if (!isRejection(error)) throw error;
      rejection = error;
    }
  }
  if (scoreSample !== undefined) await Promise.all(engine.perWorker.map(scoreSample));
  else if (rejection !== undefined) throw needsSample(rejection);
  return undefined;
}

async function runOn(
  value: number,
  engine: Engine,
  preprocessing: Preprocessing | undefined,
  signal: AbortSignal,
): Promise<Tensors | undefined> {
  const { inputs, outputs } = engine.signature;
  const names = outputs.map(({ name }) => name);
  const runs: Promise<Tensors>[] = [];
  for (const run of engine.perWorker) {
    // A run takes its inputs' memory: each gets its own.
    const tensors = inputsOf(value, inputs, preprocessing);
    if (tensors === undefined) return undefined;
    runs.push(run(tensors, names, signal));
  }
  const [first] = await Promise.all(runs);
  return first;
}

/** Whether the runtime rejects the input: without memory or its worker a run on other values fails as well. */
function isRejection(error: unknown): error is ServerError {
  return error instanceof ServerError && error.code === "REQUEST_INVALID";
}

function needsSample(rejection: ServerError): ServerError {
  return invalidBundle(
    `the model rejects the runs that warm it up, on zeros and on ones (${reasonOfRejection(rejection)}): add a sample that it accepts, samples/1.json of the bundle or aiapp bundle --sample`,
    { cause: rejection },
  );
}

function inputsOf(
  value: number,
  ports: readonly Port[],
  preprocessing: Preprocessing | undefined,
): Tensors | undefined {
  const tensors = new Map<string, Tensor>();
  for (const port of ports) {
    const { name, datatype } = port;
    const dims = dimsOf(port, preprocessing);
    if (dims === undefined || datatype === "BYTES") return undefined;
    tensors.set(name, createTensor(datatype, dims, filled(datatype, elementsOf(dims), value)));
  }
  return tensors;
}

function filled(datatype: NumericDatatype, count: number, value: number): TensorData {
  const data = new arrays[datatype](count);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    return data.fill(BigInt(value));
  return data.fill(datatype === "FP16" ? encodeHalf(value) : value);
}

/** Of one row, or as many as the model takes. */
function dimsOf(
  port: Port,
  preprocessing: Preprocessing | undefined,
): readonly number[] | undefined {
  if (port.dims.length === 0) return [];
  const isImage = preprocessing !== undefined && (preprocessing.input ?? port.name) === port.name;
  if (isImage && isOneImage(port, preprocessing)) return shapeOf(preprocessing);
  const [first, ...rest] = port.dims;
  const dims = [first ?? 1, ...(isImage ? shapeOf(preprocessing) : rest)];
  const known = dims.filter((dim) => dim !== undefined);
  return known.length === dims.length ? known : undefined;
}
