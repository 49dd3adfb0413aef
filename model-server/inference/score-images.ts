import type { Preprocessing } from "../bundle/preprocessing.ts";
import type { Engine } from "../engine/engine.ts";
import { describeDims } from "../engine/signature.ts";
import { ServerError } from "../errors.ts";
import type { Decoder } from "../images/decoder.ts";
import { shapeOf } from "../images/shape.ts";
import type { OnStage } from "../stages.ts";
import { castFloats, isImageDatatype } from "../tensor/numbers.ts";
import { concatRows, sliceRows } from "../tensor/rows.ts";
import { createTensor, elementsOf, type Tensor } from "../tensor/tensor.ts";
import type { Scoring } from "./fit.ts";
import { imageBatchOf, isOneImage } from "./image-input.ts";
import { runChecked, type InferOptions } from "./infer.ts";
import { answersOf, wholeOf } from "./scores.ts";

interface ImageParts {
  readonly engine: Engine;
  readonly decoder: Decoder;
  /** The most rows and bytes of one run. */
  readonly limits: { readonly rows: number; readonly bytes: number };
}

/**
 * What the model answers to each image. Images become tensors part by part: of a thousand, only those of one part are held
 * as tensors.
 * @throws REQUEST_INVALID, UNSUPPORTED, IMAGE_INVALID, and what the engine throws
 */
export async function scoreImages(
  { engine, decoder, limits }: ImageParts,
  scoring: Scoring,
  images: readonly Uint8Array[],
  inferPath: string,
  signal: AbortSignal,
  onStage: OnStage | undefined,
): Promise<readonly Tensor[]> {
  const { input, inputs: ports, output, preprocessing } = scoring;
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

  const batch = imageBatchOf(input, output, scoring.batch, preprocessing);
  const isLone = isOneImage(input, preprocessing);
  const options: InferOptions = {
    batch: batch ?? { kind: "none" },
    maxRows: limits.rows,
    nameOf: () => "input",
  };

  async function answersTo(tensor: Tensor): Promise<readonly Tensor[]> {
    const inputs = new Map([[input.name, tensor]]);
    const { outputs, rows } = await runChecked(
      engine,
      inputs,
      [output.name],
      options,
      signal,
      onStage,
    );
    return batch === undefined
      ? [wholeOf(outputs, output.name)]
      : answersOf(outputs, { output, batch }, rows, inferPath);
  }

  const workers = engine.perWorker.length;
  const measured = await decoder.measure(images, signal);
  const size = imagesPerPart(preprocessing, limits);
  const answers: Tensor[] = [];
  for (let from = 0; from < images.length; from += size) {
    const some = measured.slice(from, from + size);
    const began = performance.now();
    const data = castFloats(await decoder.decode(some, preprocessing, signal), datatype);
    onStage?.({ kind: "images", images: some.length, began, ended: performance.now() });
    const tensor = createTensor(datatype, [some.length, ...shapeOf(preprocessing)], data);
    const runs = batch === undefined ? eachOf(tensor, isLone) : [tensor];
    // No more than run at once, so that the next request's come between.
    for (let next = 0; next < runs.length; next += workers)
      answers.push(...(await Promise.all(runs.slice(next, next + workers).map(answersTo))).flat());
  }
  return answers;
}

function imagesPerPart(preprocessing: Preprocessing, limits: ImageParts["limits"]): number {
  const bytes = elementsOf(shapeOf(preprocessing)) * Float32Array.BYTES_PER_ELEMENT;
  return Math.max(1, Math.min(limits.rows, Math.floor(limits.bytes / bytes)));
}

/** Each image in memory of its own, which its run takes. */
function eachOf(images: Tensor, isLone: boolean): readonly Tensor[] {
  return Array.from({ length: images.dims[0] ?? 0 }, (_, index) => {
    const image = concatRows([sliceRows(images, index, index + 1)]);
    return isLone ? createTensor(image.datatype, image.dims.slice(1), image.data) : image;
  });
}
