import { invalidRequest } from "../errors.ts";
import { numbersOf } from "../tensor/numbers.ts";
import { createTensor, elementsOf, type Tensor } from "../tensor/tensor.ts";

/**
 * The highest values of each row, as text: `value:index`, or `value:index:label` where each value has a label.
 * @param hasRows whether the first dimension counts rows; otherwise the whole tensor is one
 * @returns BYTES of shape [rows, classes], or [classes]
 * @throws REQUEST_INVALID for an output of text
 */
export function classify(
  name: string,
  tensor: Tensor,
  classes: number,
  {
    labels,
    hasRows,
  }: { readonly labels: readonly string[] | undefined; readonly hasRows: boolean },
): Tensor {
  const values = numbersOf(tensor);
  if (values === undefined)
    throw invalidRequest(`the output ${name} is text, which has no highest values`);
  const rows = hasRows ? (tensor.dims[0] ?? 1) : 1;
  const width = elementsOf(hasRows ? tensor.dims.slice(1) : tensor.dims);
  const count = Math.min(classes, width);
  const names = labels?.length === width ? labels : undefined;
  const texts: string[] = [];
  for (let row = 0; row < rows; row += 1)
    for (const { value, index } of highest(values.subarray(row * width, (row + 1) * width), count))
      texts.push(textOf(tensor, value, index, names?.[index]));
  return createTensor("BYTES", hasRows ? [rows, count] : [count], texts);
}

/** NaN has no rank: it comes last. */
function highest(
  row: Float64Array,
  count: number,
): readonly { readonly value: number; readonly index: number }[] {
  const rank = (value: number): number => (Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value);
  return Array.from(row, (value, index) => ({ value, index }))
    .toSorted((a, b) => compare(rank(b.value), rank(a.value)) || a.index - b.index)
    .slice(0, count);
}

/** Infinities have no difference. */
function compare(a: number, b: number): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function textOf(
  { datatype }: Tensor,
  value: number,
  index: number,
  label: string | undefined,
): string {
  const text = datatype === "FP32" ? shortest(value) : String(value);
  return label === undefined ? `${text}:${index}` : `${text}:${index}:${label}`;
}

/** The fewest digits that are this float32 and no other. */
function shortest(value: number): string {
  for (let digits = 6; digits < 9; digits += 1) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return String(rounded);
  }
  return String(Number(value.toPrecision(9)));
}
