import type { Preprocessing } from "../bundle/preprocessing.ts";
import { describeDims, type Batch, type OutputPort, type Port } from "../engine/signature.ts";
import { invalidBundle } from "../errors.ts";
import { shapeOf } from "../images/shape.ts";
import { imageDatatypes, isImageDatatype } from "../tensor/numbers.ts";

/** How the images of `preprocessing.json` fit the model's input. */

/** Whether the input is one image, without a dimension for several. */
export function isOneImage({ dims }: Port, preprocessing: Preprocessing): boolean {
  return dims.length === shapeOf(preprocessing).length;
}

/**
 * What the first dimension of the input is to images: each of them is scored, however tensors run.
 * @returns undefined where each image has a run of its own, whose whole output is its answer
 */
export function imageBatchOf(
  input: Port,
  output: OutputPort,
  batch: Batch,
  preprocessing: Preprocessing,
): Batch | undefined {
  const [first] = input.dims;
  if (isOneImage(input, preprocessing) || first === 1) return undefined;
  if (first !== undefined) return { kind: "fixed", rows: first };
  return output.rows === "each" ? batch : undefined;
}

/** @throws BUNDLE_INVALID where the model takes no such images, or several at once for one answer */
export function checkImages(input: Port, output: OutputPort, preprocessing: Preprocessing): void {
  if (!isImageDatatype(input.datatype))
    throw invalidBundle(
      `preprocessing.json makes images ${imageDatatypes.join(", ")}, the model's input ${input.name} is ${input.datatype}: export it with one of these, or remove preprocessing.json`,
    );
  const shape = shapeOf(preprocessing);
  const image = isOneImage(input, preprocessing) ? input.dims : input.dims.slice(1);
  const fits =
    image.length === shape.length && shape.every((dim, axis) => (image[axis] ?? dim) === dim);
  if (!fits)
    throw invalidBundle(
      `preprocessing.json makes images of shape [${shape.join(", ")}], the model takes ${describeDims(input.dims)}`,
    );
  const [first] = input.dims;
  const together = imageBatchOf(input, output, { kind: "free" }, preprocessing);
  if (together?.kind === "fixed" && output.rows === "none")
    throw invalidBundle(
      `the model takes ${first} images at once, and its output ${output.name} of shape ${describeDims(output.dims)} has no row for each: export it for one image, or remove preprocessing.json`,
    );
}
