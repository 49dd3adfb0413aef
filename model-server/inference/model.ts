import type { Bundle } from "../bundle/bundle.ts";
import type { Preprocessing } from "../bundle/preprocessing.ts";
import type { Engine, Run } from "../engine/engine.ts";
import { describeDims, type Port, type Signature } from "../engine/signature.ts";
import { ServerError } from "../errors.ts";
import type { Decoder } from "../images/decoder.ts";
import { shapeOf } from "../images/shape.ts";
import { nameInput } from "../protocol/infer.ts";
import { severalInputs, type ScoreInput, type ScorePorts } from "../protocol/score.ts";
import type { OnStage } from "../stages.ts";
import { castFloats, isImageDatatype, numbersOf } from "../tensor/numbers.ts";
import { sliceRows } from "../tensor/rows.ts";
import { createTensor, elementsOf, type Tensor, type Tensors } from "../tensor/tensor.ts";
import { activate, guessActivation } from "./activation.ts";
import { checkNumbers, topClasses, type Classes } from "./classify.ts";
import { checkLabels, fitScoring, observeScoring, type Scoring } from "./fit.ts";
import { runChecked, type Inferred } from "./infer.ts";
import { scoreSample } from "./samples.ts";
import { warmUp } from "./warm-up.ts";

/** Per row: the most probable classes, or, without labels, the values themselves. */
export type Scores = readonly (Classes | readonly (number | string)[])[];

/** The bundle's model: what protocols ask. */
export interface Model {
  readonly signature: Signature;
  /** What `POST /score` feeds. */
  readonly scorePorts: ScorePorts;
  readonly score: (
    input: ScoreInput,
    top: number,
    signal: AbortSignal,
    onStage?: OnStage,
  ) => Promise<Scores>;
  /** What `POST /score` makes of a request, for those who show it. */
  readonly scoring: {
    /** The output whose values it answers. */
    readonly output: string;
    /** How many classes it answers; undefined where it answers values. */
    readonly labels: number | undefined;
    /** The pixels that the model sees; undefined where it takes no images. */
    readonly image: { readonly width: number; readonly height: number } | undefined;
    /** The request of the bundle's first sample. */
    readonly sample: unknown;
  };
  /**
   * What `POST /score` makes of a run's outputs.
   * @param rows of the inputs
   * @throws REQUEST_INVALID where that is no answer
   */
  readonly scoresOf: (outputs: Tensors, rows: number | undefined, top: number) => Scores;
  /** The names of an output's classes, where the bundle or the model has them. */
  readonly labelsOf: (output: string) => readonly string[] | undefined;
  /** Runs tensors as they are. @throws REQUEST_INVALID where they do not fit the model, and what the engine throws */
  readonly infer: (
    inputs: Tensors,
    outputs: readonly string[],
    signal: AbortSignal,
    onStage?: OnStage,
  ) => Promise<Inferred>;
}

export interface ModelParts {
  readonly engine: Engine;
  readonly bundle: Bundle;
  readonly decoder: Decoder;
  /** The most rows and bytes of one run. */
  readonly limits: { readonly rows: number; readonly bytes: number };
}

/** The model, after a run in each worker. @throws BUNDLE_INVALID, and what the engine throws */
export async function warmModel(parts: ModelParts, signal: AbortSignal): Promise<Model> {
  const { engine, bundle, decoder } = parts;
  if (bundle.preprocessing !== undefined) await decoder.load();
  const scoring = fitScoring(engine.signature, bundle);
  const [sample] = bundle.samples;
  const scoreFirst =
    sample &&
    (async (run: Run) =>
      scoreSample(modelOf({ ...parts, engine: { ...engine, run } }, scoring), sample, signal));
  const outputs = await warmUp(engine, bundle.preprocessing, scoreFirst, signal);
  return modelOf(parts, observeScoring(scoring, outputs));
}

/** @throws BUNDLE_INVALID when labels, preprocessing and model do not fit each other */
export function createModel(parts: ModelParts): Model {
  return modelOf(parts, fitScoring(parts.engine.signature, parts.bundle));
}

function modelOf(parts: ModelParts, scoring: Scoring): Model {
  const { signature } = parts.engine;
  const { input, inputs, output, labels, preprocessing } = scoring;
  return {
    signature,
    labelsOf: (name) => (name === output.name ? labels : parts.bundle.model.labels.get(name)),
    infer: (tensors, outputs, signal, onStage) =>
      runChecked(
        parts.engine,
        tensors,
        outputs,
        { maxRows: parts.limits.rows, nameOf: nameInput },
        signal,
        onStage,
      ),
    scorePorts: {
      datatype: input.datatype,
      inputs: new Map(inputs.map((port) => [port.name, port])),
    },
    scoring: {
      output: output.name,
      labels: labels?.length,
      image:
        inputs.length === 1 && preprocessing
          ? { width: preprocessing.width, height: preprocessing.height }
          : undefined,
      sample: parts.bundle.samples[0]?.request,
    },
    score: async (wanted, top, signal, onStage) => {
      const rows = await scoreRows(parts, scoring, wanted, signal, onStage);
      return rows.map((row, index) => scoresOf(row, index, scoring, top));
    },
    scoresOf: (outputs, count, top) => {
      const isWhole = signature.batch.kind === "none";
      const rows = rowsOf(outputs.get(output.name), output, count, isWhole);
      return rows.map((row, index) => scoresOf(row, index, scoring, top));
    },
  };
}

async function scoreRows(
  parts: ModelParts,
  scoring: Scoring,
  wanted: ScoreInput,
  signal: AbortSignal,
  onStage: OnStage | undefined,
): Promise<readonly Tensor[]> {
  switch (wanted.kind) {
    case "images":
      return scoreImages(parts, scoring, wanted.images, signal, onStage);
    case "tensors":
      return scoreTensors(
        parts,
        scoring,
        wanted.tensors,
        (name) => `input.${name}`,
        signal,
        onStage,
      );
    case "tensor": {
      const inputs = new Map([[onlyInputOf(scoring).name, wanted.tensor]]);
      return scoreTensors(parts, scoring, inputs, () => "input", signal, onStage);
    }
  }
}

/** What has no name goes to the only input. @throws REQUEST_INVALID saying how to send several */
function onlyInputOf({ inputs, input }: Scoring): Port {
  if (inputs.length === 1) return input;
  throw severalInputs(inputs.map(({ name }) => name));
}

async function scoreTensors(
  { engine, limits }: ModelParts,
  { output }: Scoring,
  inputs: Tensors,
  nameOf: (input: string) => string,
  signal: AbortSignal,
  onStage: OnStage | undefined,
): Promise<readonly Tensor[]> {
  const options = { maxRows: limits.rows, nameOf };
  const names = [output.name];
  const { outputs, rows } = await runChecked(engine, inputs, names, options, signal, onStage);
  return rowsOf(outputs.get(output.name), output, rows, engine.signature.batch.kind === "none");
}

/** Images become tensors part by part: of a thousand, only those of one run are held as tensors. */
async function scoreImages(
  parts: ModelParts,
  scoring: Scoring,
  images: readonly Uint8Array[],
  signal: AbortSignal,
  onStage: OnStage | undefined,
): Promise<readonly Tensor[]> {
  const { input, inputs: ports, preprocessing } = scoring;
  const { datatype } = input;
  if (ports.length > 1)
    throw new ServerError(
      "UNSUPPORTED",
      `the model has ${ports.length} inputs, and images make only one: send tensors by name, {"input": {${JSON.stringify(input.name)}: [[…], …], …}}`,
    );
  if (preprocessing === undefined || !isImageDatatype(datatype))
    throw new ServerError(
      "REQUEST_INVALID",
      `this model takes ${datatype === "BYTES" ? "text" : "numbers"} of shape ${describeDims(input.dims)}, not images: it has no preprocessing.json`,
    );
  const { decoder, limits } = parts;
  const measured = await decoder.measure(images, signal);
  const size = imagesPerRun(preprocessing, limits);
  const outputs: Tensor[] = [];
  for (let from = 0; from < images.length; from += size) {
    const some = measured.slice(from, from + size);
    const began = performance.now();
    const data = castFloats(await decoder.decode(some, preprocessing, signal), datatype);
    onStage?.({ kind: "images", images: some.length, began, ended: performance.now() });
    const tensor = createTensor(datatype, [some.length, ...shapeOf(preprocessing)], data);
    const inputs = new Map([[input.name, tensor]]);
    const rows = await scoreTensors(parts, scoring, inputs, () => "input", signal, onStage);
    outputs.push(...rows);
  }
  return outputs;
}

function imagesPerRun(preprocessing: Preprocessing, limits: ModelParts["limits"]): number {
  const bytes = elementsOf(shapeOf(preprocessing)) * Float32Array.BYTES_PER_ELEMENT;
  return Math.max(1, Math.min(limits.rows, Math.floor(limits.bytes / bytes)));
}

/**
 * The rows of an output. Without a batch, an output whose first dimension is not that of the inputs is one answer as a
 * whole: a scalar, or a vector for all of them.
 */
function rowsOf(
  tensor: Tensor | undefined,
  port: Port,
  rows: number | undefined,
  mayBeWhole: boolean,
): readonly Tensor[] {
  const given = tensor?.dims[0];
  if (tensor !== undefined && given !== undefined && given === rows && port.dims.length > 0)
    return Array.from({ length: rows }, (_, row) => sliceRows(tensor, row, row + 1));
  if (tensor !== undefined && mayBeWhole) return [tensor];
  throw new ServerError("REQUEST_INVALID", `the model gave ${given ?? 0} rows for ${rows ?? 1}`);
}

function scoresOf(
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
  return topClasses(probabilities, labels, top);
}

/** An integer beyond 2^53 as text: JSON's readers would change its digits. */
function exactOf({ data }: Tensor, value: number, at: number): number | string {
  const exact = data[at];
  return typeof exact === "bigint" && !Number.isSafeInteger(value) ? String(exact) : value;
}
