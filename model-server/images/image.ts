import sharp from "sharp";

import type { Preprocessing } from "../bundle/preprocessing.ts";
import { ServerError } from "../errors.ts";

/** Images come from untrusted clients: only these formats are decoded, and only so many pixels. */
sharp.cache(false);
sharp.concurrency(1);
sharp.block({ operation: ["VipsForeignLoad"] });
sharp.unblock({
  operation: ["VipsForeignLoadPngBuffer", "VipsForeignLoadJpegBuffer", "VipsForeignLoadWebpBuffer"],
});
const MAX_PIXELS = 24_000_000;

export function channelsOf({ channels }: Preprocessing): number {
  return channels === "grey" ? 1 : 3;
}

/** The shape of one image's tensor, without the batch. */
export function shapeOf(how: Preprocessing): readonly number[] {
  const { width, height, layout } = how;
  return layout === "NCHW" ? [channelsOf(how), height, width] : [height, width, channelsOf(how)];
}

/** The pixels of an image, by its header. @throws IMAGE_INVALID */
export async function pixelsOf(image: Uint8Array): Promise<number> {
  try {
    const { width, height } = await sharp(image, { limitInputPixels: MAX_PIXELS }).metadata();
    return width * height;
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
  let pixels: Buffer;
  try {
    const decoded = sharp(image, { limitInputPixels: MAX_PIXELS, failOn: "error" })
      .rotate()
      .flatten({ background: "black" })
      .resize(how.width, how.height, {
        fit: how.fit,
        kernel: how.kernel,
        background: "black",
      });
    pixels = await decoded
      .toColourspace(how.channels === "grey" ? "b-w" : "srgb")
      .raw({ depth: "uchar" })
      .toBuffer();
  } catch (cause) {
    throw unreadable(cause);
  }
  const count = channelsOf(how);
  const area = how.width * how.height;
  const given = pixels.length / area;
  if (given < count) throw new ServerError("IMAGE_INVALID", "the image has too few channels");
  for (let channel = 0; channel < count; channel += 1) {
    const source = how.channels === "BGR" ? count - 1 - channel : channel;
    const mean = how.mean[channel] ?? how.mean[0] ?? 0;
    const scale = how.scale[channel] ?? how.scale[0] ?? 1;
    for (let pixel = 0; pixel < area; pixel += 1) {
      const value = ((pixels[pixel * given + source] ?? 0) - mean) / scale;
      into[how.layout === "NCHW" ? channel * area + pixel : pixel * count + channel] = value;
    }
  }
}

function unreadable(cause: unknown): ServerError {
  return new ServerError(
    "IMAGE_INVALID",
    `the image cannot be decoded (${reasonOf(cause)}): send a PNG, JPEG or WebP of at most ${MAX_PIXELS / 1e6} megapixels`,
    { cause },
  );
}

/** sharp's first line: the others describe its internals. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return (message.split("\n")[0] ?? "").slice(0, 120);
}
