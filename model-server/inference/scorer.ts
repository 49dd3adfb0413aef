import type { Bundle, Preprocessing, Sample } from "../bundle/bundle.ts";
import type { Engine } from "../engine/engine.ts";
import type { Port, Tensor } from "../engine/tensor.ts";
import { ServerError } from "../errors.ts";
import { pictureInto, shapeOf } from "./image.ts";
import { readRequest, type Asked } from "./request.ts";

/** Per row: the likeliest classes with their percentages, or, without labels, the numbers themselves. */
export type Scores =
  | readonly (readonly (readonly [string, number])[])[]
  | readonly (readonly number[])[];

export interface Scorer {
  readonly score: (asked: Asked, top: number, signal: AbortSignal) => Promise<Scores>;
  /** One run at the shape that will be served, then the bundle's samples. @throws SAMPLE_MISMATCH */
  readonly warmUp: (samples: readonly Sample[], signal: AbortSignal) => Promise<void>;
}

export const DEFAULT_TOP = 5;

/** @throws BUNDLE_INVALID when labels, preprocessing and model do not fit each other */
export function createScorer(engine: Engine, { labels, preprocessing }: Bundle): Scorer {
  const input = inputOf(engine, preprocessing);
  const free = input.dims[0] === undefined;
  checkFit(engine, input, labels, preprocessing);

  async function tensorOf(asked: Asked): Promise<Tensor> {
    if (asked.kind === "numbers") {
      checkShape(input, asked.dims);
      return asked;
    }
    if (preprocessing === undefined) {
      throw new ServerError(
        "REQUEST_INVALID",
        `this model takes numbers of shape ${describe(input)}, not pictures: it has no preprocessing.json`,
      );
    }
    const { pictures } = asked;
    const shape = shapeOf(preprocessing);
    const size = shape.reduce((product, dim) => product * dim, 1);
    const data = new Float32Array(size * pictures.length);
    await Promise.all(
      pictures.map((picture, index) =>
        pictureInto(picture, preprocessing, data.subarray(index * size, (index + 1) * size)),
      ),
    );
    return { data, dims: [pictures.length, ...shape] };
  }

  /** The whole batch at once where the model takes any number of rows, else row by row. */
  async function run(tensor: Tensor, signal: AbortSignal): Promise<readonly Float32Array[]> {
    const rows = tensor.dims[0] ?? 1;
    if (free || rows === input.dims[0])
      return split(await engine.run(input.name, tensor, signal), rows);
    const size = tensor.data.length / rows;
    const outputs: Float32Array[] = [];
    for (let row = 0; row < rows; row += 1) {
      const one = {
        dims: [1, ...tensor.dims.slice(1)],
        data: tensor.data.slice(row * size, (row + 1) * size),
      };
      outputs.push(...split(await engine.run(input.name, one, signal), 1));
    }
    return outputs;
  }

  async function score(asked: Asked, top: number, signal: AbortSignal): Promise<Scores> {
    const outputs = await run(await tensorOf(asked), signal);
    return labels === undefined
      ? outputs.map((values, row) => Array.from(numbers(values, row)))
      : outputs.map((values, row) => topOf(numbers(probabilitiesOf(values), row), labels, top));
  }

  async function scoreSample({ name, request }: Sample, signal: AbortSignal): Promise<Scores> {
    try {
      return await score(readRequest(request), DEFAULT_TOP, signal);
    } catch (cause) {
      if (!(cause instanceof ServerError)) throw cause;
      // What is wrong with a request is here wrong with a file of the bundle.
      throw cause.status < 500
        ? new ServerError(
            "BUNDLE_INVALID",
            `the request of ${name} cannot be scored: ${cause.message}`,
            { cause },
          )
        : new ServerError(cause.code, `${name} was not scored: ${cause.message}`, { cause });
    }
  }

  return {
    score,
    warmUp: async (samples, signal) => {
      const dims = preprocessing === undefined ? input.dims.slice(1) : shapeOf(preprocessing);
      if (dims.every((dim) => dim !== undefined)) {
        const size = dims.reduce((product, dim) => product * dim, 1);
        await run({ dims: [1, ...dims], data: new Float32Array(size) }, signal);
      }
      for (const sample of samples) {
        const { name, expected, tolerance } = sample;
        const answer = await scoreSample(sample, signal);
        const difference = differ(answer, expected, tolerance);
        if (difference !== undefined)
          throw new ServerError(
            "SAMPLE_MISMATCH",
            `${name} is answered otherwise than the bundle says: ${difference}`,
          );
      }
    },
  };
}

function inputOf(engine: Engine, preprocessing: Preprocessing | undefined): Port {
  const { inputs } = engine.signature;
  const name = preprocessing?.input;
  const input = name === undefined ? inputs[0] : inputs.find((one) => one.name === name);
  if (input === undefined) {
    const known = inputs.map((one) => one.name).join(", ");
    throw new ServerError(
      "BUNDLE_INVALID",
      `preprocessing.json names the input ${name}; the model has ${known}`,
    );
  }
  if (inputs.length > 1)
    throw new ServerError(
      "BUNDLE_INVALID",
      `the model has ${inputs.length} inputs: POST /score serves models of one`,
    );
  if (input.type !== "float32")
    throw new ServerError(
      "BUNDLE_INVALID",
      `the model's input ${input.name} is ${input.type}: float32 is served`,
    );
  return input;
}

function checkFit(
  engine: Engine,
  input: Port,
  labels: readonly string[] | undefined,
  preprocessing: Preprocessing | undefined,
): void {
  const classes = engine.signature.outputs[0]?.dims.at(-1);
  if (labels !== undefined && classes !== undefined && labels.length !== classes)
    throw new ServerError(
      "BUNDLE_INVALID",
      `labels.txt has ${labels.length} lines, the model ${classes} classes`,
    );
  if (preprocessing === undefined) return;
  const shape = shapeOf(preprocessing);
  const fits =
    input.dims.length === shape.length + 1 &&
    shape.every((dim, index) => (input.dims[index + 1] ?? dim) === dim);
  if (!fits)
    throw new ServerError(
      "BUNDLE_INVALID",
      `preprocessing.json makes pictures of shape [${shape.join(", ")}], the model takes ${describe(input)}`,
    );
}

function describe({ dims }: Port): string {
  return `[${dims.map((dim) => dim ?? "any").join(", ")}]`;
}

function checkShape(input: Port, dims: readonly number[]): void {
  const fits =
    dims.length === input.dims.length &&
    dims.slice(1).every((dim, index) => (input.dims[index + 1] ?? dim) === dim) &&
    dims.every((dim) => dim > 0);
  if (!fits)
    throw new ServerError(
      "REQUEST_INVALID",
      `input has the shape [${dims.join(", ")}], the model takes ${describe(input)}`,
    );
}

function split({ data, dims }: Tensor, rows: number): readonly Float32Array[] {
  if (dims[0] !== rows)
    throw new ServerError(
      "REQUEST_INVALID",
      `the model answered ${dims[0] ?? 0} rows when asked for ${rows}`,
    );
  const size = data.length / rows;
  return Array.from({ length: rows }, (_, row) => data.subarray(row * size, (row + 1) * size));
}

/** JSON has no NaN and no Infinity, and nobody could rank them. */
function numbers(values: Float32Array, row: number): Float32Array {
  const wrong = values.find((value) => !Number.isFinite(value));
  if (wrong === undefined) return values;
  throw new ServerError(
    "REQUEST_INVALID",
    `the model's answer to input[${row}] is not a number (${wrong}): check whether it is in the range that the model was trained on`,
  );
}

/** As the tutorial answers: percentages with four decimals, likeliest first. */
function topOf(
  probabilities: Float32Array,
  labels: readonly string[],
  top: number,
): (readonly [string, number])[] {
  return Array.from(probabilities, (probability, index) => ({ probability, index }))
    .toSorted((a, b) => b.probability - a.probability || a.index - b.index)
    .slice(0, top)
    .map(
      ({ probability, index }) =>
        [labels[index] ?? String(index), Math.round(probability * 1e6) / 1e4] as const,
    );
}

/** Outputs that are no probabilities get a softmax, which also makes a masked class (-Infinity) the 0 that it means. */
function probabilitiesOf(values: Float32Array): Float32Array {
  return isDistribution(values) ? values : softmax(values);
}

/** A quantised softmax sums to 0.996 or so: one more would make its classes all alike. */
function isDistribution(values: Float32Array): boolean {
  const sum = values.reduce((total, value) => total + value, 0);
  return Math.abs(sum - 1) < 0.05 && values.every((value) => value >= 0 && value <= 1 + 1e-3);
}

function softmax(values: Float32Array): Float32Array {
  const highest = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const powers = values.map((value) => Math.exp(value - highest));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

/** The first difference between an answer and what was expected, in words. */
function differ(
  answer: unknown,
  expected: unknown,
  tolerance: number,
  path = "answer",
): string | undefined {
  if (typeof answer === "number" && typeof expected === "number") {
    return Math.abs(answer - expected) <= tolerance
      ? undefined
      : `${path} is ${answer}, not ${expected}`;
  }
  if (Array.isArray(answer) && Array.isArray(expected) && answer.length === expected.length) {
    for (const [index, one] of answer.entries()) {
      const found = differ(one, expected[index], tolerance, `${path}[${index}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return answer === expected
    ? undefined
    : `${path} is ${JSON.stringify(answer)}, not ${JSON.stringify(expected)}`;
}
