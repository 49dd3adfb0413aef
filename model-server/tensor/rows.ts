import { createData, createTensor, elementsOf, type Tensor, type TensorData } from "./tensor.ts";

/** Rows `from` to `to` of a tensor, sharing its memory. */
export function sliceRows(tensor: Tensor, from: number, to: number): Tensor {
  const { datatype, dims, data } = tensor;
  const rest = dims.slice(1);
  const size = elementsOf(rest);
  const part = ArrayBuffer.isView(data)
    ? data.subarray(from * size, to * size)
    : data.slice(from * size, to * size);
  return createTensor(datatype, [to - from, ...rest], part);
}

/** One tensor of the rows of several, which are of one datatype and of one shape but for the rows; always a copy. */
export function concatRows(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors;
  if (first === undefined) return createTensor("FP32", [0], new Float32Array(0));
  let rows = 0;
  for (const { dims } of tensors) rows += dims[0] ?? 0;
  const dims = [rows, ...first.dims.slice(1)];
  if (first.datatype === "BYTES")
    return createTensor(
      "BYTES",
      dims,
      tensors.flatMap(({ data }) => [...data].map(String)),
    );
  const data = createData(first.datatype, elementsOf(dims));
  let offset = 0;
  for (const tensor of tensors) {
    copyInto(data, tensor.data, offset);
    offset += tensor.data.length;
  }
  return createTensor(first.datatype, dims, data);
}

/** A tensor of `rows` rows: those that lack are zeros, or empty strings. */
export function padRows(tensor: Tensor, rows: number): Tensor {
  const missing = rows - (tensor.dims[0] ?? 0);
  const dims = [missing, ...tensor.dims.slice(1)];
  const padding = createTensor(
    tensor.datatype,
    dims,
    createData(tensor.datatype, elementsOf(dims)),
  );
  return concatRows([tensor, padding]);
}

function copyInto(target: TensorData, source: TensorData, offset: number): void {
  if (!ArrayBuffer.isView(target) || !ArrayBuffer.isView(source)) return;
  // Bytes, since TypeScript cannot know that both are arrays of one kind.
  new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(
    new Uint8Array(source.buffer, source.byteOffset, source.byteLength),
    offset * target.BYTES_PER_ELEMENT,
  );
}
