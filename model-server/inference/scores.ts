import { invalidBundle, ServerError } from "../errors.ts";
import { numbersOf } from "../tensor/numbers.ts";
import { sliceRows } from "../tensor/rows.ts";
import type { Tensor, Tensors } from "../tensor/tensor.ts";
import { activate, guessActivation } from "./activation.ts";
import { checkNumbers, topClasses, type Classes } from "./classify.ts";
import type { Scoring } from "./fit.ts";
import { checkLabels, isBinary } from "./labels.ts";

/** What `POST /score` answers, made of what the model gives. */

/** Per row: the most probable classes, or, without labels, the values themselves. */
export type Scores = readonly (Classes | readonly (number | string)[])[];

/**
 * The part of the scored output that answers each row. An output that has no row for each is the answer to one row, or to the
 * whole request where the model has no batch.
 * @param rows of the inputs; undefined where they differ
 * @param inferPath where clients get outputs as they are
 * @throws REQUEST_INVALID where the parts of several rows are not known
 */
export function answersOf(
  outputs: Tensors,
  { output, batch }: Pick<Scoring, "output" | "batch">,
  rows: number | undefined,
  inferPath: string,
): readonly Tensor[] {
  const tensor = wholeOf(outputs, output.name);
  const [given] = tensor.dims;
  if (output.rows !== "none" && given !== undefined && given === rows)
    return Array.from({ length: rows }, (_, row) => sliceRows(tensor, row, row + 1));
  if (batch.kind === "none" || rows === undefined || rows === 1) return [tensor];
  throw new ServerError(
    "REQUEST_INVALID",
    `the model's output ${output.name} has no row for each of the ${rows} rows, so that their answers cannot be separated: send one row, or get the whole output from POST ${inferPath}`,
  );
}

export function wholeOf(outputs: Tensors, name: string): Tensor {
  const tensor = outputs.get(name);
  if (tensor === undefined) throw new ServerError("INTERNAL", `the model gave no output ${name}`);
  return tensor;
}

/** @param row its number in the request */
export function scoresOf(
  tensor: Tensor,
  row: number,
  { labels, activation }: Scoring,
  top: number,
): Scores[number] {
  const values = numbersOf(tensor);
  if (values === undefined) return [...tensor.data].map(String);
  if (labels === undefined) {
    checkNumbers(values, row);
    return Array.from(values, (value, at) => exactOf(tensor, value, at));
  }
  checkLabels(labels, values.length);
  const probabilities = activate(values, activation ?? guessActivation(values));
  checkNumbers(probabilities, row);
  const isOfTwo = isBinary(labels, values.length);
  return topClasses(isOfTwo ? ofBoth(probabilities) : probabilities, labels, top);
}

/** Of both classes, by the probability of the second. @throws BUNDLE_INVALID where it is none */
function ofBoth([second = 0]: Float64Array): readonly number[] {
  if (second >= 0 && second <= 1) return [1 - second, second];
  throw invalidBundle(
    `the model gave ${second}, which is no probability of the second of two labels: set "activation" in postprocessing.json, such as sigmoid`,
  );
}

/** An integer beyond 2^53 as text: JSON's readers would change its digits. */
function exactOf({ data }: Tensor, value: number, at: number): number | string {
  const exact = data[at];
  return typeof exact === "bigint" && !Number.isSafeInteger(value) ? String(exact) : value;
}
