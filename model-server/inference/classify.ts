import { ServerError } from "../errors.ts";

/** Classes with their percentages, the most probable first. */
export type Classes = readonly (readonly [string, number])[];

/** JSON has no NaN and no infinities, and they have no rank. @throws REQUEST_INVALID naming the row */
export function checkNumbers(values: ArrayLike<number>, row: number): void {
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at] ?? 0;
    if (!Number.isFinite(value))
      throw new ServerError(
        "REQUEST_INVALID",
        `the model's answer to input[${row}] is not a number (${value}): check whether it is in the range that the model was trained on`,
      );
  }
}

/** As the tutorial answers: percentages with four decimals. */
export function topClasses(
  probabilities: ArrayLike<number>,
  labels: readonly string[],
  top: number,
): Classes {
  return Array.from(probabilities, (probability, index) => ({ probability, index }))
    .toSorted((a, b) => b.probability - a.probability || a.index - b.index)
    .slice(0, top)
    .map(
      ({ probability, index }) =>
        [labels[index] ?? String(index), Math.round(probability * 1e6) / 1e4] as const,
    );
}
