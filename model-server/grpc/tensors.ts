import { invalidRequest, quoted } from "../errors.ts";
import { bytesOfTensor, tensorOfBytes, textOfBytes, type RawShape } from "../protocol/binary.ts";
import {
  addInput,
  checkSequence,
  MAX_CLASSES,
  nameInput,
  readShape,
  unsupported,
  type InferRequest,
  type RequestedOutput,
} from "../protocol/infer.ts";
import type { NamedOutput } from "../protocol/infer-answer.ts";
import { dataOf, MAX_RANK } from "../protocol/nested.ts";
import { createTensor, type Datatype, type Tensor, type TensorData } from "../tensor/tensor.ts";
import type {
  Contents,
  InferAnswerMessage,
  InferMessage,
  InputMessage,
  Parameter,
  Parameters,
} from "./messages.ts";

/** @throws REQUEST_INVALID, UNSUPPORTED for sequences and shared memory */
export function readInferMessage(message: InferMessage): InferRequest {
  const { inputs, outputs, raw_input_contents: raw } = message;
  checkSequence(sequenceOf(message.parameters["sequence_id"]));
  if (raw.length > 0 && raw.length !== inputs.length)
    throw invalidRequest(
      `${raw.length} raw_input_contents for ${inputs.length} inputs: send one for each, or none`,
    );
  const tensors = new Map<string, Tensor>();
  for (const [index, input] of inputs.entries())
    addInput(tensors, input.name, readInput(input, raw[index]));
  return {
    id: message.id,
    inputs: tensors,
    outputs: outputs.map(({ name, parameters }) => readOutput(name, parameters)),
    isBinary: true,
  };
}

function sequenceOf(parameter: Parameter | undefined): unknown {
  if (parameter === undefined) return undefined;
  const { int64_param: signed, uint64_param: unsigned, string_param: text } = parameter;
  return text ?? Number(signed ?? unsigned);
}

function readInput(input: InputMessage, raw: Buffer | undefined): Tensor {
  const what = nameInput(input.name);
  if (input.parameters["shared_memory_region"] !== undefined)
    throw unsupported("shared memory regions");
  if (input.shape.length > MAX_RANK)
    throw invalidRequest(`${what} has more than ${MAX_RANK} dimensions`);
  const shape = readShape(input.datatype, input.shape.map(Number), what);
  if (raw === undefined) return tensorOfContents(input.contents, shape, what);
  if (input.contents !== null && sizeOf(input.contents) > 0)
    throw invalidRequest(`${what} has both contents and raw_input_contents: send one of them`);
  return tensorOfBytes(raw, shape, what);
}

function sizeOf(contents: Contents): number {
  let size = 0;
  for (const values of Object.values(contents)) size += Array.isArray(values) ? values.length : 0;
  return size;
}

/** The field of each datatype. */
const fields = {
  BOOL: "bool_contents",
  INT8: "int_contents",
  INT16: "int_contents",
  INT32: "int_contents",
  INT64: "int64_contents",
  UINT8: "uint_contents",
  UINT16: "uint_contents",
  UINT32: "uint_contents",
  UINT64: "uint64_contents",
  FP32: "fp32_contents",
  FP64: "fp64_contents",
  BYTES: "bytes_contents",
} as const satisfies Partial<Record<Datatype, keyof Contents>>;

function tensorOfContents(contents: Contents | null, shape: RawShape, what: string): Tensor {
  const { datatype, dims, count } = shape;
  if (datatype === "FP16")
    throw invalidRequest(`${what} is FP16, which has no contents: send raw_input_contents`);
  const field = fields[datatype];
  const values = contents?.[field] ?? [];
  if (values.length !== count)
    throw invalidRequest(
      `${what} has ${values.length} ${field}; ${datatype} of shape [${dims.join(", ")}] needs ${count}`,
    );
  return createTensor(datatype, dims, dataOfContents(values, datatype, what));
}

/** Unlike in JSON, NaN and infinities are numbers here. */
function dataOfContents(
  values: readonly (boolean | number | string | Buffer)[],
  datatype: Datatype,
  what: string,
): TensorData {
  if (datatype === "FP32") return Float32Array.from(values, Number);
  if (datatype === "FP64") return Float64Array.from(values, Number);
  if (datatype !== "BYTES") return dataOf([values], datatype, what);
  return values.map((value) => (Buffer.isBuffer(value) ? textOfBytes(value, what) : String(value)));
}

function readOutput(name: string, parameters: Parameters): RequestedOutput {
  if (parameters["shared_memory_region"] !== undefined) throw unsupported("shared memory regions");
  const { classification } = parameters;
  if (classification === undefined) return { name, isBinary: true, classes: 0 };
  const classes = Number(classification.int64_param ?? classification.uint64_param);
  if (!(classes >= 0 && classes <= MAX_CLASSES))
    throw invalidRequest(
      `the classification of ${quoted(name)} must be an int64_param from 0 to ${MAX_CLASSES}`,
    );
  return { name, isBinary: true, classes };
}

export function encodeAnswerMessage(
  head: { readonly model: string; readonly version: string; readonly id: string },
  outputs: readonly NamedOutput[],
): InferAnswerMessage {
  return {
    model_name: head.model,
    model_version: head.version,
    id: head.id,
    outputs: outputs.map(({ name, tensor }) => ({
      name,
      datatype: tensor.datatype,
      shape: tensor.dims,
    })),
    raw_output_contents: outputs.map(({ tensor }) => {
      const bytes = bytesOfTensor(tensor);
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    }),
  };
}
