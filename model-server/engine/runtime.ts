import { Tensor as OrtTensor, type InferenceSession } from "onnxruntime-node";

import {
  arrays,
  createTensor,
  type Datatype,
  type NumericDatatype,
  type Tensor,
  type TensorData,
} from "../tensor/tensor.ts";
import { batchOf, rowsOf, type DeclaredDims, type Port, type Signature } from "./signature.ts";

/** The runtime's names of our datatypes. */
const runtimeTypes = {
  BOOL: "bool",
  UINT8: "uint8",
  UINT16: "uint16",
  UINT32: "uint32",
  UINT64: "uint64",
  INT8: "int8",
  INT16: "int16",
  INT32: "int32",
  INT64: "int64",
  FP16: "float16",
  FP32: "float32",
  FP64: "float64",
  BYTES: "string",
} as const satisfies Record<Datatype, OrtTensor.Type>;

const datatypes: ReadonlyMap<string, Datatype> = new Map(
  Object.entries(runtimeTypes).map(([datatype, type]) => [type, datatype as Datatype]),
);

export function toRuntime({ datatype, dims, data }: Tensor): OrtTensor {
  const type = runtimeTypes[datatype];
  // The constructor takes no array of bits for halves, the runtime does; it reads no more than these four fields.
  if (datatype === "FP16") return { type, data, dims, location: "cpu" } as unknown as OrtTensor;
  return new OrtTensor(type, data, dims);
}

/** A copy in memory of its own, which can be handed over to another thread; the runtime's own cannot. */
export function fromRuntime({ type, dims, data }: OrtTensor): Tensor {
  const datatype = datatypes.get(type);
  if (datatype === undefined) throw new Error(`an output of type ${type} cannot be served`);
  return createTensor(datatype, [...dims], copyOf(datatype, data));
}

function copyOf(datatype: Datatype, data: OrtTensor.DataType): TensorData {
  if (datatype === "BYTES" || !ArrayBuffer.isView(data)) return Array.from(data as string[]);
  const bytes = new Uint8Array(data.byteLength);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return new arrays[datatype as NumericDatatype](bytes.buffer);
}

/** @throws Error naming an input whose type cannot be served; such outputs are left out */
export function signatureOf(session: InferenceSession): Signature {
  const inputs = session.inputMetadata.map((value) => {
    const port = portOf(value);
    if (port !== undefined) return port;
    const type = value.isTensor ? value.type : "no tensor";
    throw new Error(`the input ${value.name} is ${type}: export the model with a plain tensor`);
  });
  const outputs = session.outputMetadata.map(portOf).filter((port) => port !== undefined);
  if (outputs.length === 0) throw new Error("the model has no output that is a tensor");
  const declaredInputs = inputs.map(({ declared }) => declared);
  return {
    inputs: inputs.map(({ port }) => port),
    outputs: outputs.map(({ port, declared }) => ({
      ...port,
      rows: rowsOf(declared, declaredInputs),
    })),
    batch: batchOf(
      declaredInputs,
      outputs.map(({ declared }) => declared),
    ),
  };
}

function portOf(
  value: InferenceSession.ValueMetadata,
): { readonly port: Port; readonly declared: DeclaredDims } | undefined {
  const datatype = value.isTensor ? datatypes.get(value.type) : undefined;
  if (datatype === undefined || !value.isTensor) return undefined;
  // Some exporters write -1 for a free dimension.
  const declared = value.shape.map((dim) => (typeof dim === "number" && dim < 0 ? "" : dim));
  const dims = declared.map((dim) => (typeof dim === "number" ? dim : undefined));
  return { port: { name: value.name, datatype, dims }, declared };
}
