import { nest } from "../tensor/nest.ts";
import type { Tensors } from "../tensor/tensor.ts";
import { jsonOf } from "./infer-answer.ts";

/** The body of `POST /score` that feeds the model these tensors. */
export function scoreBodyOf(inputs: Tensors): object {
  const entries = [...inputs].map(([name, one]) => [name, nest(jsonOf(one), one.dims)] as const);
  return { input: Object.fromEntries(entries) };
}
