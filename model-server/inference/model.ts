import type { Bundle } from "../bundle/bundle.ts";
import type { Engine, Run } from "../engine/engine.ts";
import type { Port, Signature } from "../engine/signature.ts";
import type { Decoder } from "../images/decoder.ts";
import { nameInput } from "../protocol/infer.ts";
import { severalInputs, type ScoreInput, type ScorePorts } from "../protocol/score.ts";
import type { OnStage } from "../stages.ts";
import type { Tensor, Tensors } from "../tensor/tensor.ts";
import { fitScoring, observeScoring, type Scoring } from "./fit.ts";
import { runChecked, type Inferred, type InferOptions } from "./infer.ts";
import { scoreSample } from "./samples.ts";
import { scoreImages } from "./score-images.ts";
import { answersOf, scoresOf, type Scores } from "./scores.ts";
import { warmUp } from "./warm-up.ts";

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
  /** Of the protocol's paths. */
  readonly name: string;
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
  return modelOf(parts, observeScoring(scoring, outputs, bundle));
}

/** @throws BUNDLE_INVALID when labels, preprocessing and model do not fit each other */
export function createModel(parts: ModelParts): Model {
  return modelOf(parts, fitScoring(parts.engine.signature, parts.bundle));
}

function modelOf(parts: ModelParts, scoring: Scoring): Model {
  const { engine, bundle } = parts;
  const { input, inputs, output, batch, labels, preprocessing } = scoring;
  return {
    signature: { ...engine.signature, batch },
    labelsOf: (name) => (name === output.name ? labels : bundle.model.labels.get(name)),
    infer: (tensors, outputs, signal, onStage) =>
      runChecked(engine, tensors, outputs, optionsOf(parts, scoring, nameInput), signal, onStage),
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
      sample: bundle.samples[0]?.request,
    },
    score: async (wanted, top, signal, onStage) => {
      const rows = await scoreRows(parts, scoring, wanted, signal, onStage);
      return rows.map((row, index) => scoresOf(row, index, scoring, top));
    },
    scoresOf: (outputs, count, top) => {
      const rows = answersOf(outputs, scoring, count, inferPathOf(parts));
      return rows.map((row, index) => scoresOf(row, index, scoring, top));
    },
  };
}

function optionsOf(
  { limits }: ModelParts,
  { batch }: Scoring,
  nameOf: InferOptions["nameOf"],
): InferOptions {
  return { batch, maxRows: limits.rows, nameOf };
}

function inferPathOf({ name }: ModelParts): string {
  return `/v2/models/${encodeURIComponent(name)}/infer`;
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
      return scoreImages(parts, scoring, wanted.images, inferPathOf(parts), signal, onStage);
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
  parts: ModelParts,
  scoring: Scoring,
  inputs: Tensors,
  nameOf: InferOptions["nameOf"],
  signal: AbortSignal,
  onStage: OnStage | undefined,
): Promise<readonly Tensor[]> {
  const options = optionsOf(parts, scoring, nameOf);
  const names = [scoring.output.name];
  const { outputs, rows } = await runChecked(parts.engine, inputs, names, options, signal, onStage);
  return answersOf(outputs, scoring, rows, inferPathOf(parts));
}
