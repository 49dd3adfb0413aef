import type { Tensor, Tensors } from "../tensor/tensor.ts";
import { jsonOf } from "./infer-answer.ts";

/** The body of `POST /score` that feeds the model these tensors. */
export function scoreBodyOf(inputs: Tensors): object {
  return { input: Object.fromEntries([...inputs].map(([name, one]) => [name, nestedOf(one)])) };
}

/** The elements in arrays as deep as the tensor has dimensions. */
function nestedOf(tensor: Tensor): unknown {
  let values = jsonOf(tensor);
  for (const size of tensor.dims.slice(1).toReversed()) values = chunksOf(values, size);
  return tensor.dims.length === 0 ? values[0] : values;
}

function chunksOf(values: readonly unknown[], size: number): readonly unknown[] {
  const chunks: unknown[] = [];
  for (let from = 0; from < values.length; from += size)
    chunks.push(values.slice(from, from + size));
  return chunks;
}
