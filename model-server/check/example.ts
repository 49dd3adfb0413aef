import sharp from "sharp";

import type { Model } from "../inference/model.ts";
import { nest } from "../tensor/nest.ts";
import { elementsOf } from "../tensor/tensor.ts";

/** Values that are neither all the same nor beyond what a model was trained on. */
const STEPS = 11;
/** A larger request is no file to keep in a bundle. */
const MAX_ELEMENTS = 10_000;

/**
 * A request of `POST /score` that the model's own declaration makes, the same at each call.
 * @param whole what whole numbers are: they are often indices, which have to exist
 * @returns undefined where the model takes text, sizes that are free, or too many values
 */
export async function exampleOf({ signature, scoring }: Model, whole: number): Promise<unknown> {
  if (scoring.image !== undefined) return { input: [await gradient(scoring.image)] };
  const { batch } = signature;
  const inputs = new Map<string, unknown>();
  for (const { name, datatype, dims } of signature.inputs) {
    const [first = 1, ...rest] = dims;
    const known = rest.filter((dim) => dim !== undefined);
    const rows = batch.kind === "fixed" ? 1 : first;
    const shape = dims.length === 0 ? [] : [rows, ...known];
    const count = elementsOf(shape);
    if (datatype === "BYTES" || known.length < rest.length || count > MAX_ELEMENTS)
      return undefined;
    const values = Array.from({ length: count }, (_, at) =>
      datatype.startsWith("FP") ? (at % STEPS) / (STEPS - 1) : whole,
    );
    inputs.set(name, nest(values, shape));
  }
  const [only, ...others] = inputs.values();
  return { input: others.length === 0 && Array.isArray(only) ? only : Object.fromEntries(inputs) };
}

/** A picture as base64, of three channels that differ. */
async function gradient({ width, height }: { width: number; height: number }): Promise<string> {
  const pixels = Buffer.alloc(width * height * 3);
  for (let at = 0; at < pixels.length; at += 1) {
    const pixel = Math.floor(at / 3);
    const x = (pixel % width) / width;
    const y = Math.floor(pixel / width) / height;
    pixels[at] = Math.round(255 * ([x, y, (x + y) / 2][at % 3] ?? 0));
  }
  const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
  return png.toString("base64");
}
