import type { Activation } from "../bundle/postprocessing.ts";

/** Operators whose output is probabilities: of one class among several, or of each alone. */
const PROBABILITIES = new Set(["Softmax", "Sigmoid", "HardSigmoid", "ZipMap", "Normalizer"]);
/** A linear layer at the end gives logits; the softmax of a LogSoftmax is what it is the logarithm of. */
const LOGITS = new Set(["Gemm", "MatMul", "Add", "LogSoftmax"]);

/** What the operator says that makes the output. @returns undefined when it may be either */
export function activationOf(producer: string): Activation | undefined {
  if (PROBABILITIES.has(producer)) return "none";
  return LOGITS.has(producer) ? "softmax" : undefined;
}

/** What the values of a row say, where nothing else does. */
export function guessActivation(values: Float64Array): Activation {
  return isDistribution(values) ? "none" : "softmax";
}

/** Probabilities of a row's values. A masked class (-Infinity) gets the 0 that it means. */
export function activate(values: Float64Array, activation: Activation): Float64Array {
  switch (activation) {
    case "none":
      return values;
    case "sigmoid":
      return values.map(sigmoid);
    case "softmax":
      // Of one value alone it would be 1 always.
      return values.length === 1 ? values.map(sigmoid) : softmax(values);
  }
}

/** A quantised softmax sums to 0.996 or so: a second one would make its classes all alike. */
function isDistribution(values: Float64Array): boolean {
  const inRange = values.every((value) => value >= 0 && value <= 1 + 1e-3);
  if (values.length === 1) return inRange;
  const sum = values.reduce((total, value) => total + value, 0);
  return Math.abs(sum - 1) < 0.05 && inRange;
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

function softmax(values: Float64Array): Float64Array {
  const highest = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const powers = values.map((value) => Math.exp(value - highest));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}
