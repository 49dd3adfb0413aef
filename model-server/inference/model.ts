import type { Bundle } from "../bundle/bundle.ts";
import type { Preprocessing } from "../bundle/preprocessing.ts";
import type { Engine } from "../engine/engine.ts";
import { describeDims, type Signature } from "../engine/signature.ts";
import { ServerError } from "../errors.ts";
import type { Decoder } from "../images/decoder.ts";
import { shapeOf } from "../images/image.ts";
import type { ScoreInput } from "../protocol/score.ts";
import { sliceRows } from "../tensor/rows.ts";
import { createTensor, elementsOf, type Datatype, type Tensor } from "../tensor/tensor.ts";
import { checkNumbers, probabilitiesOf, topClasses, type Classes } from "./classify.ts";
import { fitScoring, type Scoring } from "./fit.ts";
import { runInParts } from "./run.ts";
import { checkShape } from "./shape.ts";

/** Per row: the most probable classes, or, without labels, the values themselves. */
export type Scores = readonly (Classes | readonly (number | string)[])[];

/** The bundle's model: what protocols ask. */
export interface Model {
  readonly signature: Signature;
  /** Of the input that `POST /score` feeds. */
  readonly scoreDatatype: Datatype;
  readonly score: (input: ScoreInput, top: number, signal: AbortSignal) => Promise<Scores>;
}

export interface ModelParts {
  readonly engine: Engine;
  readonly bundle: Bundle;
  readonly decoder: Decoder;
  /** The most rows and bytes of one run. */
  readonly limits: { readonly rows: number; readonly bytes: number };
}

/** @throws BUNDLE_INVALID when labels, preprocessing and model do not fit each other */
export function createModel(parts: ModelParts): Model {
  const { engine, bundle } = parts;
  const { signature } = engine;
  const scoring = fitScoring(signature, bundle);
  return {
    signature,
    scoreDatatype: typeof scoring === "string" ? "FP32" : scoring.input.datatype,
    score: async (input, top, signal) => {
      if (typeof scoring === "string")
        throw new ServerError("UNSUPPORTED", `${scoring}; use the Open Inference Protocol`);
      const outputs =
        input.kind === "images"
          ? await scoreImages(parts, scoring, input.images, signal)
          : await scoreTensor(parts, scoring, input.tensor, signal);
      return outputs.map((row, index) => scoresOf(row, index, scoring.labels, top));
    },
  };
}

async function scoreTensor(
  { engine, limits }: ModelParts,
  { input, output }: Scoring,
  tensor: Tensor,
  signal: AbortSignal,
): Promise<readonly Tensor[]> {
  const rows = tensor.dims[0] ?? 1;
  const isFixed = engine.signature.batch.kind === "fixed";
  checkShape(tensor, input, "input", { anyRows: isFixed });
  if (tensor.dims.includes(0))
    throw new ServerError(
      "REQUEST_INVALID",
      `input has the shape [${tensor.dims.join(", ")}]: every row needs values`,
    );
  const inputs = new Map([[input.name, tensor]]);
  const result = await runInParts(engine, inputs, [output.name], limits.rows, signal);
  return rowsOf(result.get(output.name), rows);
}

/** Images become tensors part by part: of a thousand, only those of one run are held as tensors. */
async function scoreImages(
  parts: ModelParts,
  scoring: Scoring,
  images: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<readonly Tensor[]> {
  const { input, preprocessing } = scoring;
  if (preprocessing === undefined)
    throw new ServerError(
      "REQUEST_INVALID",
      `this model takes ${input.datatype === "BYTES" ? "text" : "numbers"} of shape ${describeDims(input.dims)}, not images: it has no preprocessing.json`,
    );
  const { decoder, limits } = parts;
  await decoder.check(images, signal);
  const size = imagesPerRun(preprocessing, limits);
  const outputs: Tensor[] = [];
  for (let from = 0; from < images.length; from += size) {
    const some = images.slice(from, from + size);
    const data = await decoder.decode(some, preprocessing, signal);
    const tensor = createTensor("FP32", [some.length, ...shapeOf(preprocessing)], data);
    outputs.push(...(await scoreTensor(parts, scoring, tensor, signal)));
  }
  return outputs;
}

function imagesPerRun(preprocessing: Preprocessing, limits: ModelParts["limits"]): number {
  const bytes = elementsOf(shapeOf(preprocessing)) * Float32Array.BYTES_PER_ELEMENT;
  return Math.max(1, Math.min(limits.rows, Math.floor(limits.bytes / bytes)));
}

function rowsOf(tensor: Tensor | undefined, rows: number): readonly Tensor[] {
  const given = tensor?.dims[0] ?? 0;
  if (tensor === undefined || given !== rows)
    throw new ServerError("REQUEST_INVALID", `the model gave ${given} rows for ${rows}`);
  return Array.from({ length: rows }, (_, row) => sliceRows(tensor, row, row + 1));
}

function scoresOf(
  { data }: Tensor,
  row: number,
  labels: readonly string[] | undefined,
  top: number,
): Scores[number] {
  if (!ArrayBuffer.isView(data)) return [...data];
  const values = Float64Array.from(data, Number);
  if (labels === undefined) {
    checkNumbers(values, row);
    return Array.from(values);
  }
  const probabilities = probabilitiesOf(values);
  checkNumbers(probabilities, row);
  return topClasses(probabilities, labels, top);
}
