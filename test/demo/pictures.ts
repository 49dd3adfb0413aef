import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { z } from "zod";

import type { LabelledPicture } from "./accuracy.ts";

/** What examples/digits/train.py wrote: the pictures it held out, and how well each version did on them. */
const digits = join(import.meta.dirname, "..", "..", "examples", "digits");

const HeldOut = z.array(z.object({ label: z.string(), png: z.base64() }));
const Figures = z.record(z.string(), z.object({ accuracy: z.number(), hard: z.string() }));

const NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/** What each version answers to all pictures but the hard one, by file. */
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

/** The files that traffic sends: ten that both versions know, and one that tells them apart. */
export const pictureFiles: readonly string[] = [...NAMES.keys(), "hard"].map((name) =>
  pictureFile(String(name)),
);

/** What each version must answer to each picture, by model version: as the training script found, not the server. */
export async function expectations(): Promise<Record<string, Record<string, string>>> {
  return Object.fromEntries(
    Object.entries(await figures()).map(([version, { hard }]) => [
      version,
      { ...known, "hard.png": hard },
    ]),
  );
}
