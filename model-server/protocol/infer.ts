import { z } from "zod";

import { invalidRequest, quoted, ServerError } from "../errors.ts";
import { arrays, createTensor, type Datatype, type Tensor } from "../tensor/tensor.ts";
import { tensorOfBytes, textOfBytes, type RawShape } from "./binary.ts";
import { describeIssue } from "./issue.ts";
import { dataOf, flatten, MAX_RANK } from "./nested.ts";

/** A request of the Open Inference Protocol, however it came. */
export interface InferRequest {
  readonly id: string | undefined;
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** Undefined: all outputs. */
  readonly outputs: readonly RequestedOutput[] | undefined;
  /** Whether outputs leave as raw bytes where a request says no more. */
  readonly isBinary: boolean;
}

export interface RequestedOutput {
  readonly name: string;
  readonly isBinary: boolean;
  /** How many classes to answer in the place of the values; 0: the values. */
  readonly classes: number;
}

/** An input of the model, as far as a request of raw bytes needs it. */
export interface InferPort {
  readonly name: string;
  readonly datatype: Datatype;
  readonly dims: readonly (number | undefined)[];
}

const MAX_PORTS = 1000;
export const MAX_CLASSES = 1000;
const datatypes: readonly string[] = [...Object.keys(arrays), "BYTES"];

const size = z.int().min(0);
const InputParameters = z.object({
  binary_data_size: size.optional(),
  shared_memory_region: z.unknown().optional(),
});
const OutputParameters = z.object({
  binary_data: z.boolean().optional(),
  classification: z.int().min(0).max(MAX_CLASSES).optional(),
  shared_memory_region: z.unknown().optional(),
});
/** The JSON of a request. */
export const InferBody = z.object({
  id: z.string().optional(),
  parameters: z
    .object({ binary_data_output: z.boolean().optional(), sequence_id: z.unknown().optional() })
    .optional(),
  inputs: z
    .array(
      z.object({
        name: z.string(),
        shape: z.array(size).max(MAX_RANK),
        datatype: z.string(),
        parameters: InputParameters.optional(),
        data: z.unknown().optional(),
      }),
    )
    .max(MAX_PORTS),
  outputs: z
    .array(z.object({ name: z.string(), parameters: OutputParameters.optional() }))
    .max(MAX_PORTS)
    .optional(),
});
export type InferBody = z.infer<typeof InferBody>;
type Input = InferBody["inputs"][number];

/** @throws REQUEST_INVALID */
export function readInferBody(json: unknown): InferBody {
  const parsed = InferBody.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw invalidRequest(
    issue === undefined || issue.path.length === 0
      ? 'the body is no inference request: send {"inputs": [{"name": …, "shape": […], "datatype": …, "data": […]}]}'
      : describeIssue(issue, json),
  );
}

/**
 * Reads a request and the raw bytes after its JSON.
 * @throws REQUEST_INVALID, UNSUPPORTED for sequences and shared memory
 */
export function readInferRequest(
  { id, parameters, inputs, outputs }: InferBody,
  raw: Buffer,
): InferRequest {
  checkSequence(parameters?.sequence_id);
  const isBinary = parameters?.binary_data_output ?? false;
  const rest = { raw, at: 0 };
  const tensors = new Map<string, Tensor>();
  for (const input of inputs) addInput(tensors, input.name, readInput(input, rest));
  if (rest.at !== raw.length)
    throw invalidRequest(
      `${raw.length} bytes follow the JSON, the inputs' binary_data_size are ${rest.at} in all`,
    );
  return { id, inputs: tensors, outputs: outputs && readOutputs(outputs, isBinary), isBinary };
}

/** @throws REQUEST_INVALID */
export function addInput(inputs: Map<string, Tensor>, name: string, tensor: Tensor): void {
  if (inputs.has(name)) throw invalidRequest(`${nameInput(name)} is there twice: send it once`);
  inputs.set(name, tensor);
}

export function nameInput(name: string): string {
  return `the input ${quoted(name)}`;
}

/** What a request says of a tensor. @throws REQUEST_INVALID for an unknown datatype, or a shape beyond any memory */
export function readShape(datatype: string, dims: readonly number[], what: string): RawShape {
  if (!isDatatype(datatype))
    throw invalidRequest(
      `${what} has the datatype ${quoted(datatype, 50)}: use one of ${datatypes.join(", ")}`,
    );
  let count = 1;
  for (const dim of dims) {
    if (!Number.isSafeInteger(dim) || dim < 0)
      throw invalidRequest(`${what} has a dimension that is no size: sizes are 0 or more`);
    count *= dim;
  }
  if (!Number.isSafeInteger(count)) throw invalidRequest(`${what} has a shape that is too large`);
  return { datatype, dims, count };
}

function isDatatype(text: string): text is Datatype {
  return datatypes.includes(text);
}

export function unsupported(what: string): ServerError {
  return new ServerError("UNSUPPORTED", `${what} are not supported: send tensors in the request`);
}

/** Clients of Triton send 0, or empty text, for what belongs to no sequence. @throws UNSUPPORTED */
export function checkSequence(id: unknown): void {
  if (id !== undefined && id !== 0 && id !== "") throw unsupported("sequences");
}

function readInput(input: Input, rest: { readonly raw: Buffer; at: number }): Tensor {
  const { name, data, parameters } = input;
  const what = nameInput(name);
  const shape = readShape(input.datatype, input.shape, what);
  if (parameters?.shared_memory_region !== undefined) throw unsupported("shared memory regions");
  const bytes = parameters?.binary_data_size;
  if (bytes === undefined) {
    if (data === undefined)
      throw invalidRequest(`${what} has no values: send data, or binary_data_size and raw bytes`);
    return tensorOfData(data, shape, what);
  }
  if (data !== undefined)
    throw invalidRequest(`${what} has both data and binary_data_size: send one of them`);
  const end = rest.at + bytes;
  if (end > rest.raw.length)
    throw invalidRequest(
      `${what} has the binary_data_size ${bytes}, but only ${rest.raw.length - rest.at} bytes are left of the body`,
    );
  const tensor = tensorOfBytes(rest.raw.subarray(rest.at, end), shape, what);
  rest.at = end;
  return tensor;
}

/** Values in JSON: flat, or nested as the shape says. */
function tensorOfData(data: unknown, { datatype, dims, count }: RawShape, what: string): Tensor {
  if (!Array.isArray(data)) throw invalidRequest(`${what} has data that is no array`);
  const values: readonly unknown[] = data;
  const isNested = Array.isArray(values[0]);
  const { leaves, dims: found } = isNested
    ? flatten(values, what)
    : { leaves: [values], dims: [values.length] };
  const given = found.reduce((product, dim) => product * dim, 1);
  const fits = isNested ? found.join() === dims.join() : given === count;
  if (!fits)
    throw invalidRequest(
      `${what} has data of shape [${found.join(", ")}] and the shape [${dims.join(", ")}]`,
    );
  return createTensor(datatype, dims, dataOf(leaves, datatype, what));
}

function readOutputs(
  outputs: NonNullable<InferBody["outputs"]>,
  isBinary: boolean,
): readonly RequestedOutput[] {
  return outputs.map(({ name, parameters }) => {
    if (parameters?.shared_memory_region !== undefined) throw unsupported("shared memory regions");
    return {
      name,
      isBinary: parameters?.binary_data ?? isBinary,
      classes: parameters?.classification ?? 0,
    };
  });
}

/** A body that is nothing but the values of the model's only input. @throws REQUEST_INVALID */
export function readRawTensor(raw: Buffer, ports: readonly InferPort[]): InferRequest {
  const [port, ...others] = ports;
  if (raw.length === 0) throw invalidRequest("the body is empty: send JSON, or raw values");
  if (port === undefined || others.length > 0)
    throw invalidRequest(
      `a body of raw bytes alone serves models of one input, this one has ${ports.length}: send JSON in front of them`,
    );
  const inputs = new Map([[port.name, rawTensorOf(raw, port)]]);
  return { id: undefined, inputs, outputs: undefined, isBinary: true };
}

function rawTensorOf(raw: Buffer, { name, datatype, dims }: InferPort): Tensor {
  const what = nameInput(name);
  const known = dims.reduce<number>((product, dim) => product * (dim ?? 1), 1);
  const free = dims.filter((dim) => dim === undefined).length;
  const count = datatype === "BYTES" ? 1 : raw.length / arrays[datatype].BYTES_PER_ELEMENT;
  const rows = free === 0 ? 1 : count / known;
  if (free > 1 || known * rows !== count || !Number.isInteger(rows))
    throw invalidRequest(
      `the body's ${raw.length} bytes do not say the shape of ${what}: send JSON in front of them`,
    );
  const shape = dims.map((dim) => dim ?? rows);
  return datatype === "BYTES"
    ? createTensor(datatype, shape, [textOfBytes(raw, what)])
    : tensorOfBytes(raw, { datatype, dims: shape, count }, what);
}
