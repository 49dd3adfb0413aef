import { isMainThread } from "node:worker_threads";

import sharp from "sharp";

import type { Preprocessing } from "../bundle/preprocessing.ts";
import { messageOf } from "../errors.ts";
import { geometryOf, type Geometry, type Size } from "./geometry.ts";
import { ImageError } from "./image-error.ts";
import { channelsOf } from "./shape.ts";
import { CHANNELS, resample, tapsOf, type Taps } from "./resample.ts";

/**
 * Images come from untrusted clients: only these formats are decoded, and only so many pixels. What is blocked is blocked
 * in the whole process: a thread that started would block every format for a moment while another decodes.
 */
if (isMainThread) {
  sharp.cache(false);
  sharp.concurrency(1);
  sharp.block({ operation: ["VipsForeignLoad"] });
  sharp.unblock({
    operation: [
      "VipsForeignLoadPngBuffer",
      "VipsForeignLoadJpegBuffer",
      "VipsForeignLoadWebpBuffer",
    ],
  });
}
const MAX_PIXELS = 24_000_000;

/** The size of an image as it is to be seen, by its header. @throws IMAGE_INVALID */
export async function sizeOf(image: Uint8Array): Promise<Size> {
  try {
    const { autoOrient } = await sharp(image, { limitInputPixels: MAX_PIXELS }).metadata();
    return autoOrient;
  } catch (cause) {
    throw unreadable(cause);
  }
}

/**
 * Decodes a PNG, JPEG or WebP and writes its tensor into `into`, as `preprocessing.json` says.
 * @throws IMAGE_INVALID saying what was wrong with it
 */
export async function imageInto(
  image: Uint8Array,
  how: Preprocessing,
  into: Float32Array,
): Promise<void> {
  const size = await sizeOf(image);
  const geometry = geometryOf(size, how);
  const { resized, window } = geometry;
  const across = tapsOf(
    { size: size.width, resized: resized.width, from: window.left, count: window.width },
    how.kernel,
  );
  const down = tapsOf(
    { size: size.height, resized: resized.height, from: window.top, count: window.height },
    how.kernel,
  );
  const pixels = resample(await decode(image, across, down), across, down);
  writeTensor(pixels, geometry, how, into);
}

/** The pixels of the part that is needed: three channels, 8 bits each. */
async function decode(image: Uint8Array, across: Taps, down: Taps): Promise<Uint8Array> {
  try {
    const { data, info } = await sharp(image, { limitInputPixels: MAX_PIXELS, failOn: "error" })
      .autoOrient()
      .flatten({ background: "black" })
      .extract({
        left: across.first,
        top: down.first,
        width: across.end - across.first,
        height: down.end - down.first,
      })
      .toColourspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== CHANNELS) throw new Error(`it has ${info.channels} channels`);
    return data;
  } catch (cause) {
    throw unreadable(cause);
  }
}

/** As Pillow, OpenCV and torchvision make grey: ITU-R 601, in 16 bits. */
function greyOf(red: number, green: number, blue: number): number {
  return (red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16;
}

function writeTensor(
  pixels: Uint8Array,
  { window, left, top }: Geometry,
  how: Preprocessing,
  into: Float32Array,
): void {
  const count = channelsOf(how);
  const area = how.width * how.height;
  const isPlanar = how.layout === "NCHW";
  const source = how.channels === "grey" ? greysOf(pixels) : pixels;
  const step = how.channels === "grey" ? 1 : CHANNELS;
  for (let channel = 0; channel < count; channel += 1) {
    const values = valuesOf(how, channel);
    const from = how.channels === "BGR" ? CHANNELS - 1 - channel : channel;
    const first = isPlanar ? channel * area : channel;
    const stride = isPlanar ? 1 : count;
    if (window.width * window.height < area) {
      const border = values[0] ?? 0;
      for (let pixel = 0; pixel < area; pixel += 1) into[first + pixel * stride] = border;
    }
    for (let y = 0; y < window.height; y += 1) {
      let at = y * window.width * step + from;
      let to = first + ((top + y) * how.width + left) * stride;
      for (let x = 0; x < window.width; x += 1) {
        into[to] = values[source[at] ?? 0] ?? 0;
        at += step;
        to += stride;
      }
    }
  }
}

/** What each value of a pixel becomes. */
function valuesOf({ mean, scale }: Preprocessing, channel: number): Float32Array {
  const ofMean = mean[channel] ?? mean[0] ?? 0;
  const ofScale = scale[channel] ?? scale[0] ?? 1;
  return Float32Array.from({ length: 256 }, (_, value) => (value - ofMean) / ofScale);
}

function greysOf(pixels: Uint8Array): Uint8Array {
  const greys = new Uint8Array(pixels.length / CHANNELS);
  for (let pixel = 0; pixel < greys.length; pixel += 1) {
    const at = pixel * CHANNELS;
    greys[pixel] = greyOf(pixels[at] ?? 0, pixels[at + 1] ?? 0, pixels[at + 2] ?? 0);
  }
  return greys;
}

function unreadable(cause: unknown): ImageError {
  return new ImageError(
    `cannot be decoded (${reasonOf(cause)}): send a PNG, JPEG or WebP of at most ${MAX_PIXELS / 1e6} megapixels`,
    undefined,
    { cause },
  );
}

/** sharp's first line: the others describe its internals. */
function reasonOf(error: unknown): string {
  return (messageOf(error).split("\n")[0] ?? "").slice(0, 120);
}
