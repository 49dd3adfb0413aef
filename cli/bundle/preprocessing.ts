import { readFile } from "node:fs/promises";

import { z } from "zod";

import type { CheckedPort } from "../../crds/check.ts";
import { CliError, reasonOf } from "../errors.ts";

/** How most models of images were trained; sizes, channels and layout come from the model. */
const presets = {
  /** torchvision and most of what was trained on ImageNet. */
  imagenet: {
    fit: "cover",
    kernel: "linear",
    mean: [123.675, 116.28, 103.53],
    scale: [58.395, 57.12, 57.375],
  },
  /** Values from 0 to 1. */
  unit: { fit: "cover", kernel: "linear", mean: [0], scale: [255] },
} as const;

export const presetNames = Object.keys(presets);

/** ImageNet's models see the middle 224 of 256 pixels. */
const CROP = 224 / 256;

const Fields = z.record(z.string(), z.unknown());

/**
 * The content of preprocessing.json: that of a preset or a file, with what the model's input declares where it says
 * nothing.
 * @throws BundleInvalid
 */
export async function preprocessingOf(
  given: string,
  inputs: readonly CheckedPort[],
): Promise<Readonly<Record<string, unknown>>> {
  const preset = Object.entries(presets).find(([name]) => name === given)?.[1];
  const fields: Readonly<Record<string, unknown>> = preset ?? (await readFields(given));
  const name = fields["input"];
  const input = inputs.find((port) => (name === undefined ? true : port.name === name));
  const declared = input === undefined ? {} : imageOf(input, fields["layout"]);
  const merged: Readonly<Record<string, unknown>> = { ...declared, ...fields };
  for (const size of ["width", "height"])
    if (merged[size] === undefined)
      throw new CliError(
        "BundleInvalid",
        `The model does not declare the ${size} of its images${input === undefined ? "" : `: ${input.name} is [${input.shape.join(", ")}]`}`,
        `Give a file to --preprocessing that has "width" and "height".`,
      );
  if (given !== "imagenet") return merged;
  const side = Math.max(Number(merged["width"]), Number(merged["height"]));
  return { ...merged, resize: Math.round(side / CROP) };
}

async function readFields(path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return Fields.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    throw new CliError(
      "BundleInvalid",
      `${path} is no preprocessing: ${reasonOf(error)}`,
      `Give one of ${presetNames.join(", ")}, or a file of JSON as docs/model-server.md describes.`,
      error,
    );
  }
}

/** What a shape says of images: [channels, height, width], or the channels last, with or without rows before them. */
function imageOf({ shape }: CheckedPort, layout: unknown): Readonly<Record<string, unknown>> {
  const [first = -1, second = -1, last = -1] = shape.slice(-3);
  if (shape.length !== 3 && shape.length !== 4) return {};
  const isLast =
    layout === "NHWC" || (layout === undefined && !isChannels(first) && isChannels(last));
  const [channels, height, width] = isLast ? [last, first, second] : [first, second, last];
  return {
    ...(width > 0 && { width }),
    ...(height > 0 && { height }),
    ...(channels === 1 && { channels: "grey" }),
    ...(isLast && { layout: "NHWC" }),
  };
}

function isChannels(size: number): boolean {
  return size === 1 || size === 3;
}
