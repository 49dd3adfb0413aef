import { readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { Preprocessing } from "../bundle/preprocessing.ts";
import { imageInto } from "./image.ts";
import { shapeOf } from "./shape.ts";

const fixtures = join(import.meta.dirname, "fixtures");

interface Reference {
  readonly image: string;
  readonly how: object;
  /** Base64 of the pixels that Pillow makes, row by row. */
  readonly pixels: string;
}

const references = JSON.parse(
  readFileSync(join(fixtures, "reference.json"), "utf8"),
) as readonly Reference[];

/** The largest difference to Pillow's pixels, of 255. */
async function differenceOf({ image, how, pixels }: Reference): Promise<number> {
  const all = Preprocessing.parse({ layout: "NHWC", scale: [1], ...how });
  const expected = Buffer.from(pixels, "base64");
  const tensor = new Float32Array(shapeOf(all).reduce((product, dim) => product * dim, 1));
  expect(tensor).toHaveLength(expected.length);
  await imageInto(readFileSync(join(fixtures, image)), all, tensor);
  return Math.max(...tensor.map((value, at) => Math.abs(value - (expected[at] ?? 0))));
}

const cases = references.map(
  (reference) => [reference.image, JSON.stringify(reference.how), reference] as const,
);

test.each(cases)("%s becomes exactly Pillow's pixels with %s", async (_, __, reference) => {
  expect(await differenceOf(reference)).toBe(0);
});
