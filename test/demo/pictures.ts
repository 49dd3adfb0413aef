import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { z } from "zod";

import type { LabelledPicture } from "./accuracy.ts";

/** The output of examples/digits/train.py: held-out pictures, and the accuracy of each version on them. */
const digits = join(import.meta.dirname, "..", "..", "examples", "digits");

const HeldOut = z.array(z.object({ label: z.string(), png: z.base64() }));
const Figures = z.record(z.string(), z.object({ accuracy: z.number(), hard: z.string() }));

const NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/** The label that every version scores highest, by file, for all pictures but the hard one. */
export const known: Readonly<Record<string, string>> = Object.fromEntries(
  NAMES.map((label, digit) => [`${digit}.png`, label]),
);

/** The folder with the committed versions of the model. */
export const models = join(digits, "models");

export async function heldOut(): Promise<readonly LabelledPicture[]> {
  const all = HeldOut.parse(JSON.parse(await readFile(join(digits, "held-out.json"), "utf8")));
  return all.map(({ label, png }) => ({ label, png: Uint8Array.from(Buffer.from(png, "base64")) }));
}

export async function figures(): Promise<z.infer<typeof Figures>> {
  return Figures.parse(JSON.parse(await readFile(join(digits, "figures.json"), "utf8")));
}

export function pictureFile(name: string): string {
  return join(digits, "pictures", `${name}.png`);
}

/** The files that traffic sends: ten that both versions score alike, and one that they score differently. */
export const pictureFiles: readonly string[] = [...NAMES.keys(), "hard"].map((name) =>
  pictureFile(String(name)),
);

/** The expected label of each picture, by model version: from the training script, not from the server. */
export async function expectations(): Promise<Record<string, Record<string, string>>> {
  return Object.fromEntries(
    Object.entries(await figures()).map(([version, { hard }]) => [
      version,
      { ...known, "hard.png": hard },
    ]),
  );
}
