import type { Preprocessing } from "../bundle/preprocessing.ts";

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** How an image comes to the size of the model's input: it is resized, then a window of it is placed on black. */
export interface Geometry {
  readonly resized: Size;
  /** What is cut out of the resized image. */
  readonly window: Size & { readonly left: number; readonly top: number };
  /** Where the window goes in the tensor. */
  readonly left: number;
  readonly top: number;
}

/** The sizes and places of torchvision's Resize and CenterCrop (`cover`), and of Pillow's ImageOps.pad (`contain`). */
export function geometryOf(image: Size, how: Preprocessing): Geometry {
  const target = { width: how.width, height: how.height };
  switch (how.fit) {
    case "fill":
      return { resized: target, window: { ...target, left: 0, top: 0 }, left: 0, top: 0 };
    case "cover": {
      const resized =
        how.resize === undefined ? coverSize(image, target) : shortSide(image, how.resize);
      const left = roundHalfEven((resized.width - target.width) / 2);
      const top = roundHalfEven((resized.height - target.height) / 2);
      return { resized, window: { ...target, left, top }, left: 0, top: 0 };
    }
    case "contain": {
      const resized = containSize(image, target);
      const left = roundHalfEven((target.width - resized.width) / 2);
      const top = roundHalfEven((target.height - resized.height) / 2);
      return { resized, window: { ...resized, left: 0, top: 0 }, left, top };
    }
  }
}

function shortSide({ width, height }: Size, size: number): Size {
  return width <= height
    ? { width: size, height: Math.trunc((size * height) / width) }
    : { width: Math.trunc((size * width) / height), height: size };
}

function coverSize({ width, height }: Size, target: Size): Size {
  return target.width * height >= target.height * width
    ? {
        width: target.width,
        height: Math.max(target.height, Math.trunc((target.width * height) / width)),
      }
    : {
        width: Math.max(target.width, Math.trunc((target.height * width) / height)),
        height: target.height,
      };
}

function containSize({ width, height }: Size, target: Size): Size {
  return target.width * height <= target.height * width
    ? { width: target.width, height: Math.max(1, roundHalfEven((target.width * height) / width)) }
    : {
        width: Math.max(1, roundHalfEven((target.height * width) / height)),
        height: target.height,
      };
}

/** As Python rounds. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
