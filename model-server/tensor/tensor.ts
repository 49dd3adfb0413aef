import { ServerError } from "../errors.ts";

/** A tensor, row-major; the datatypes are those of the Open Inference Protocol that the runtime takes. */
export type Tensor =
  | TensorOf<"BOOL" | "UINT8", Uint8Array<ArrayBuffer>>
  | TensorOf<"UINT16", Uint16Array<ArrayBuffer>>
  | TensorOf<"UINT32", Uint32Array<ArrayBuffer>>
  | TensorOf<"UINT64", BigUint64Array<ArrayBuffer>>
  | TensorOf<"INT8", Int8Array<ArrayBuffer>>
  | TensorOf<"INT16", Int16Array<ArrayBuffer>>
  | TensorOf<"INT32", Int32Array<ArrayBuffer>>
  | TensorOf<"INT64", BigInt64Array<ArrayBuffer>>
  /** The bits of each half, as neither JavaScript's arrays nor the runtime's binding convert them. */
  | TensorOf<"FP16", Uint16Array<ArrayBuffer>>
  | TensorOf<"FP32", Float32Array<ArrayBuffer>>
  | TensorOf<"FP64", Float64Array<ArrayBuffer>>
  /** Text: the runtime's strings are UTF-8 without NUL. */
  | TensorOf<"BYTES", readonly string[]>;

interface TensorOf<D, A> {
  readonly datatype: D;
  readonly dims: readonly number[];
  readonly data: A;
}

export type Datatype = Tensor["datatype"];
export type TensorData = Tensor["data"];
export type NumericDatatype = Exclude<Datatype, "BYTES">;
/** Tensors by the name of the model's input or output. */
export type Tensors = ReadonlyMap<string, Tensor>;

/** The array that holds the elements of each datatype; those of BYTES are strings. */
export const arrays = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const satisfies Record<NumericDatatype, unknown>;

/** The number of elements of a shape: 1 for a scalar. */
export function elementsOf(dims: readonly number[]): number {
  let product = 1;
  for (const dim of dims) product *= dim;
  return product;
}

/** A tensor of data whose array fits the datatype. @throws INTERNAL where it does not */
export function createTensor(
  datatype: Datatype,
  dims: readonly number[],
  data: TensorData,
): Tensor {
  const fits = datatype === "BYTES" ? Array.isArray(data) : data instanceof arrays[datatype];
  if (!fits) throw new ServerError("INTERNAL", `data of ${datatype} is in another array`);
  return { datatype, dims, data } as Tensor;
}

/** Zeros, or empty strings. */
export function createData(datatype: Datatype, count: number): TensorData {
  if (datatype === "BYTES") return Array<string>(count).fill("");
  return new arrays[datatype](count);
}

/** What a tensor takes in memory, in bytes. */
export function bytesOf({ data }: Tensor): number {
  if (ArrayBuffer.isView(data)) return data.byteLength;
  let bytes = 0;
  for (const text of data) bytes += 16 + 2 * text.length;
  return bytes;
}
