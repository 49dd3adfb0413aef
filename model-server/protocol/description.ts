import type { Port, Signature } from "../engine/signature.ts";
import type { Statistics } from "../statistics.ts";
import { elementsOf, type Datatype } from "../tensor/tensor.ts";
import type { ModelName } from "./model-name.ts";

/** What the Open Inference Protocol says of the server and its model. HTTP and gRPC send the same. */

export const SERVER_NAME = "aiapp-model-server";
export const PLATFORM = "onnxruntime_onnx";
export const extensions = [
  "binary_tensor_data",
  "classification",
  "model_configuration",
  "model_repository",
  "statistics",
] as const;

export interface TensorMetadata {
  readonly name: string;
  readonly datatype: Datatype;
  /** -1: any size. */
  readonly shape: readonly number[];
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export function metadataOf({ name, version }: ModelName, signature: Signature): ModelMetadata {
  // The server runs any number of rows in batches of the size that the model takes.
  const anyRows = signature.batch.kind === "fixed";
  const describe = ({ name: port, datatype, dims }: Port): TensorMetadata => ({
    name: port,
    datatype,
    shape: dims.map((dim, axis) => (axis === 0 && anyRows ? -1 : (dim ?? -1))),
  });
  return {
    name,
    versions: version === "" ? [] : [version],
    platform: PLATFORM,
    inputs: signature.inputs.map(describe),
    outputs: signature.outputs.map(describe),
  };
}

/** More than a line of values is nothing to read or copy. */
const MAX_VALUES = 32;

/** A request of one row of zeros, or of empty text, as an example; undefined where it would be long. */
export function requestOfZeros({
  inputs,
}: ModelMetadata): { readonly inputs: readonly object[] } | undefined {
  const tensors = inputs.map(({ name, datatype, shape }) => {
    const dims = shape.map((dim) => (dim === -1 ? 1 : dim));
    const count = elementsOf(dims);
    const data = Array.from({ length: Math.min(count, MAX_VALUES + 1) }, () => zeroOf(datatype));
    return { name, datatype, shape: dims, data };
  });
  return tensors.some(({ data }) => data.length > MAX_VALUES) ? undefined : { inputs: tensors };
}

function zeroOf(datatype: Datatype): unknown {
  if (datatype === "BOOL") return false;
  return datatype === "BYTES" ? "" : 0;
}

interface TensorConfig {
  readonly name: string;
  readonly data_type: string;
  readonly dims: readonly number[];
}

export interface ModelConfig {
  readonly name: string;
  readonly platform: string;
  readonly backend: string;
  /** 0: no batch; otherwise the dimensions leave out the rows. */
  readonly max_batch_size: number;
  readonly input: readonly TensorConfig[];
  readonly output: readonly TensorConfig[];
}

/** @param maxRows the most rows of one run */
export function modelConfigOf(
  { name }: ModelName,
  { inputs, outputs, batch }: Signature,
  maxRows: number,
): ModelConfig {
  const hasRows = batch.kind === "shared" || batch.kind === "fixed";
  const describe = ({ name: port, datatype, dims }: Port): TensorConfig => ({
    name: port,
    data_type: `TYPE_${datatype === "BYTES" ? "STRING" : datatype}`,
    dims: dims.slice(hasRows ? 1 : 0).map((dim) => dim ?? -1),
  });
  return {
    name,
    platform: PLATFORM,
    backend: "onnxruntime",
    max_batch_size: hasRows ? maxRows : 0,
    input: inputs.map(describe),
    output: outputs.map(describe),
  };
}

interface StatisticDuration {
  readonly count: number;
  readonly ns: number;
}

function durationOf({
  count,
  ms,
}: {
  readonly count: number;
  readonly ms: number;
}): StatisticDuration {
  return { count, ns: Math.round(ms * 1e6) };
}

export interface ModelStatistics {
  readonly name: string;
  readonly version: string;
  readonly last_inference: number;
  readonly inference_count: number;
  readonly execution_count: number;
  readonly inference_stats: Readonly<Record<string, StatisticDuration>>;
  readonly batch_stats: readonly {
    readonly batch_size: number;
    readonly compute_infer: StatisticDuration;
  }[];
}

export function statisticsOf(
  { name, version }: ModelName,
  statistics: Statistics,
): ModelStatistics {
  const { totals } = statistics;
  return {
    name,
    version,
    last_inference: statistics.lastInference(),
    inference_count: statistics.rows(),
    execution_count: statistics.runs(),
    inference_stats: {
      success: durationOf(totals.success),
      fail: durationOf(totals.fail),
      queue: durationOf(totals.queue),
      compute_input: durationOf(totals.input),
      compute_infer: durationOf(totals.compute),
      compute_output: durationOf(totals.output),
    },
    batch_stats: statistics.batches().map(({ rows, compute }) => ({
      batch_size: rows,
      compute_infer: durationOf(compute),
    })),
  };
}
