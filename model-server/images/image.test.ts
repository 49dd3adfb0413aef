import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";

import * as fc from "fast-check";
import sharp, { type Sharp } from "sharp";
import { describe, expect, test } from "vitest";

import { Preprocessing } from "../bundle/preprocessing.ts";
import { imageInto } from "./image.ts";
import { channelsOf, shapeOf } from "./shape.ts";

/** A image of these values, row by row, all channels of a pixel together. */
function drawn(values: readonly number[], channels: 1 | 3 | 4, width: number): Sharp {
  const height = values.length / channels / width;
  return sharp(Uint8Array.from(values), { raw: { width, height, channels } }).toColourspace(
    channels === 1 ? "b-w" : "srgb",
  );
}

async function png(values: readonly number[], channels: 1 | 3 | 4, width: number): Promise<Buffer> {
  return drawn(values, channels, width).png().toBuffer();
}

/** The tensor of an image; where nothing else is said, of the pixels' own values. */
async function tensorOf(image: Uint8Array, how: object): Promise<number[]> {
  const all = Preprocessing.parse({ fit: "fill", kernel: "nearest", scale: [1], ...how });
  const into = new Float32Array(shapeOf(all).reduce((product, dim) => product * dim, 1));
  await imageInto(image, all, into);
  return Array.from(into);
}

async function refusal(image: Uint8Array): Promise<unknown> {
  return tensorOf(image, { width: 2, height: 2 }).then(
    () => "accepted",
    (error: unknown) => error,
  );
}

const refused = expect.objectContaining({
  name: "ServerError",
  code: "IMAGE_INVALID",
  status: 400,
  message: expect.stringMatching(
    /^the image cannot be decoded \([^\n]+\): send a PNG, JPEG or WebP of at most 24 megapixels$/,
  ),
});

// Two rows of three pixels: R, G and B of each.
const COLOURS = [
  [10, 20, 30, 40, 50, 60, 70, 80, 90],
  [11, 21, 31, 41, 51, 61, 71, 81, 91],
].flat();
const SIZE = { width: 3, height: 2 };

describe("an image's tensor", () => {
  test.each([
    ["RGB", "NCHW", [10, 40, 70, 11, 41, 71, 20, 50, 80, 21, 51, 81, 30, 60, 90, 31, 61, 91]],
    ["RGB", "NHWC", COLOURS],
    ["BGR", "NCHW", [30, 60, 90, 31, 61, 91, 20, 50, 80, 21, 51, 81, 10, 40, 70, 11, 41, 71]],
    ["BGR", "NHWC", [30, 20, 10, 60, 50, 40, 90, 80, 70, 31, 21, 11, 61, 51, 41, 91, 81, 71]],
  ])("holds %s as %s", async (channels, layout, expected) => {
    expect(await tensorOf(await png(COLOURS, 3, 3), { ...SIZE, channels, layout })).toEqual(
      expected,
    );
  });

  test.each(["NCHW", "NHWC"])("of grey is the same as %s", async (layout) => {
    const values = [0, 1, 127, 128, 254, 255];
    const how = { ...SIZE, channels: "grey", layout };
    expect(await tensorOf(await png(values, 1, 3), how)).toEqual(values);
  });

  test("of a coloured image in grey is the brightness that Pillow, OpenCV and torchvision give it", async () => {
    const primaries = await png([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9], 3, 4);
    const how = { width: 4, height: 1, channels: "grey" };
    expect(await tensorOf(primaries, how)).toEqual([76, 150, 29, 9]);
  });

  test("of a grey image in colours has it in each channel", async () => {
    expect(await tensorOf(await png([5, 250], 1, 2), { width: 2, height: 1 })).toEqual([
      5, 250, 5, 250, 5, 250,
    ]);
  });

  test("has mean and scale of its own for each channel, in the order that the model takes", async () => {
    const image = await png([10, 20, 30, 40, 50, 60], 3, 2);
    const how = { width: 2, height: 1, mean: [1, 2, 3], scale: [1, 2, 4] };
    expect(await tensorOf(image, how)).toEqual([9, 39, 9, 24, 6.75, 14.25]);
    expect(await tensorOf(image, { ...how, layout: "NHWC" })).toEqual([9, 9, 6.75, 39, 24, 14.25]);
    expect(await tensorOf(image, { ...how, channels: "BGR" })).toEqual([29, 59, 9, 24, 1.75, 9.25]);
  });

  test("has one mean and one scale for all channels, from 0 to 1 unless said", async () => {
    const image = await png([0, 51, 255], 3, 1);
    const how = { width: 1, height: 1, mean: [127.5], scale: [127.5] };
    expect(await tensorOf(image, how)).toEqual([-1, Math.fround(-0.6), 1]);
    expect(await tensorOf(image, { width: 1, height: 1, scale: undefined })).toEqual([
      0,
      Math.fround(0.2),
      1,
    ]);
  });

  test("has the shape that preprocessing gives", () => {
    const how = Preprocessing.parse(SIZE);
    expect([channelsOf(how), shapeOf(how)]).toEqual([3, [3, 2, 3]]);
    expect(shapeOf({ ...how, layout: "NHWC" })).toEqual([2, 3, 3]);
    expect(shapeOf({ ...how, channels: "grey" })).toEqual([1, 2, 3]);
  });

  test("fills its part of a batch and no more", async () => {
    const batch = new Float32Array(6).fill(-7);
    const how = Preprocessing.parse({ width: 2, height: 1, channels: "grey", scale: [1] });
    await imageInto(await png([3, 4], 1, 2), how, batch.subarray(2, 4));
    expect(Array.from(batch)).toEqual([-7, -7, 3, 4, -7, -7]);
  });

  test("is what the formula says, for any pixels and any preprocessing", async () => {
    const cases = fc.record({
      pixels: fc.array(fc.uint8Array({ minLength: 3, maxLength: 3 }), {
        minLength: 6,
        maxLength: 6,
      }),
      channels: fc.constantFrom("RGB" as const, "BGR" as const),
      layout: fc.constantFrom("NCHW" as const, "NHWC" as const),
      mean: fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 3, maxLength: 3 }),
      scale: fc.array(fc.integer({ min: 1, max: 255 }), { minLength: 3, maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ pixels, channels, layout, mean, scale }) => {
        const values = pixels.map(([red = 0, green = 0, blue = 0]) => {
          const ordered = channels === "RGB" ? [red, green, blue] : [blue, green, red];
          return ordered.map((value, c) => Math.fround((value - (mean[c] ?? 0)) / (scale[c] ?? 1)));
        });
        const planes = [0, 1, 2].map((c) => values.map((value) => value[c]));
        const image = await png(
          pixels.flatMap((one) => Array.from(one)),
          3,
          3,
        );
        expect(await tensorOf(image, { ...SIZE, channels, layout, mean, scale })).toEqual(
          (layout === "NCHW" ? planes : values).flat(),
        );
      }),
      { numRuns: 50 },
    );
  });
});

describe("an image's size", () => {
  test("changes by whole squares with the nearest kernel", async () => {
    const how = { width: 2, height: 2, channels: "grey" };
    const squares = [1, 1, 1, 9, 9, 9, 1, 1, 1, 9, 9, 9, 5, 5, 5, 7, 7, 7, 5, 5, 5, 7, 7, 7];
    expect(await tensorOf(await png(squares, 1, 6), how)).toEqual([1, 9, 5, 7]);
    expect(await tensorOf(await png([1, 9], 1, 2), { ...how, width: 4 })).toEqual([
      1, 1, 9, 9, 1, 1, 9, 9,
    ]);
  });

  const STRIP = [1, 1, 2, 2, 3, 3];

  test.each([
    ["fill", "is stretched", 3, 1, [1, 2, 3]],
    ["cover", "is cut out of its middle", 2, 1, [2, 2]],
    ["contain", "is put before black", 6, 3, [0, 0, 0, 0, 0, 0, ...STRIP, 0, 0, 0, 0, 0, 0]],
  ])("with %s %s", async (fit, _, width, height, expected) => {
    const how = { width, height, fit, channels: "grey" };
    expect(await tensorOf(await png(STRIP, 1, 6), how)).toEqual(expected);
  });

  test("is that of the image as it is to be seen: a camera held upright says so in its EXIF", async () => {
    const turned = await drawn([1, 2, 3, 4, 5, 6], 1, 3)
      .withMetadata({ orientation: 6 })
      .png()
      .toBuffer();
    expect(await tensorOf(turned, { width: 2, height: 3, channels: "grey" })).toEqual([
      4, 1, 5, 2, 6, 3,
    ]);
  });
});

describe("the example's digits, drawn as squares of 16 × 16 pixels", () => {
  const digits = join(import.meta.dirname, "..", "..", "examples", "digits");
  const NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

  async function json(path: string): Promise<unknown> {
    return JSON.parse(await readFile(join(digits, path), "utf8"));
  }

  test.each([...NAMES.entries(), ["hard", "nine"] as const])(
    "%s.png gives the very tensor of its original of 8 × 8",
    async (name, label) => {
      const how = (await json("models/2/preprocessing.json")) as object;
      const image = await readFile(join(digits, "pictures", `${name}.png`));
      const tensor = await tensorOf(image, how);

      const { data, info } = await sharp(image)
        .toColourspace("b-w")
        .raw()
        .toBuffer({ resolveWithObject: true });
      expect(info).toMatchObject({ width: 128, height: 128, channels: 1 });
      const drawn = Array.from(data, (value) => Math.fround(value / 255));
      expect(drawn).toEqual(
        drawn.map((_, at) => tensor[Math.floor(at / 128 / 16) * 8 + Math.floor((at % 128) / 16)]),
      );

      const heldOut = (await json("held-out.json")) as { label: string; png: string }[];
      const originals = await Promise.all(
        heldOut
          .filter((one) => one.label === label)
          .map((one) => tensorOf(Buffer.from(one.png, "base64"), how)),
      );
      expect(originals).toContainEqual(tensor);
    },
  );
});

describe("the formats that are read", () => {
  const values = [10, 20, 30, 40, 50, 60];
  const how = { width: 2, height: 1, layout: "NHWC" };

  test.each([
    ["PNG", drawn(values, 3, 2).png()],
    ["interlaced PNG", drawn(values, 3, 2).png({ progressive: true })],
    ["PNG with a palette", drawn(values, 3, 2).png({ palette: true })],
    ["WebP", drawn(values, 3, 2).webp({ lossless: true })],
    ["JPEG", drawn(values, 3, 2).jpeg({ quality: 100, chromaSubsampling: "4:4:4" })],
  ])("%s", async (_, image) => {
    expect(await tensorOf(await image.toBuffer(), how)).toEqual(values);
  });

  test("PNG of 16 bits: the upper eight count", async () => {
    const deep = (
      colourspace: "grey16" | "rgb16",
      channels: 1 | 3,
      from: readonly number[],
    ): Promise<Buffer> =>
      sharp(Uint16Array.from(from), { raw: { width: 1, height: 1, channels } })
        .toColourspace(colourspace)
        .png()
        .toBuffer();
    const pixel = { width: 1, height: 1 };
    const colours = await deep("rgb16", 3, [0x1234, 0xff00, 0x80ff]);
    expect(await tensorOf(colours, pixel)).toEqual([0x12, 0xff, 0x80]);
    const grey = await deep("grey16", 1, [0x1234]);
    expect(await tensorOf(grey, { ...pixel, channels: "grey" })).toEqual([0x12]);
    expect(await tensorOf(grey, pixel)).toEqual([0x12, 0x12, 0x12]);
  });

  test("JPEG in the inks of a press comes out in three channels", async () => {
    const inks = await drawn(values, 3, 2).toColourspace("cmyk").jpeg().toBuffer();
    expect(await sharp(inks).metadata()).toMatchObject({ space: "cmyk", channels: 4 });
    const tensor = await tensorOf(inks, { ...how, layout: "NCHW" });
    expect(tensor).toHaveLength(6);
    expect(Math.max(...tensor)).toBeLessThan(100);
  });

  test("of several images in one file the first", async () => {
    const frames = [values, values.map((value) => value + 100)];
    const join = await Promise.all(frames.map((frame) => png(frame, 3, 2)));
    const animation = await sharp(join, { join: { animated: true } })
      .webp({ lossless: true })
      .toBuffer();
    expect(await sharp(animation).metadata()).toMatchObject({ pages: 2 });
    expect(await tensorOf(animation, how)).toEqual(values);
  });

  test("what is transparent is seen before black", async () => {
    const glass = await png([200, 100, 50, 255, 200, 100, 50, 128, 200, 100, 50, 0], 4, 3);
    const row = { width: 3, height: 1 };
    expect(await tensorOf(glass, { ...row, layout: "NHWC" })).toEqual([
      200, 100, 50, 100, 50, 25, 0, 0, 0,
    ]);
    const grey = await sharp(glass).toColourspace("b-w").png().toBuffer();
    expect(await sharp(grey).metadata()).toMatchObject({ channels: 2 });
    const [full = 0, half = 0, none] = await tensorOf(grey, { ...row, channels: "grey" });
    expect(half).toBe(Math.floor((full * 128) / 255));
    expect(none).toBe(0);
  });
});

describe("what is refused", () => {
  const noise = sharp({
    create: {
      width: 64,
      height: 64,
      channels: 3,
      background: "black",
      noise: { type: "gaussian", mean: 128, sigma: 40 },
    },
  });

  test.each([
    ["PNG", noise.clone().png()],
    ["JPEG", noise.clone().jpeg()],
    ["WebP", noise.clone().webp()],
  ])("a %s that was cut short", async (_, image) => {
    const whole = await image.toBuffer();
    expect(await refusal(whole)).toBe("accepted");
    for (const part of [0.02, 0.5, 0.95])
      expect(await refusal(whole.subarray(0, whole.length * part))).toEqual(refused);
  });

  test("a PNG of which one byte has changed", async () => {
    const image = await png(COLOURS, 3, 3);
    const at = image.indexOf("IDAT") + 8;
    image[at] = (image[at] ?? 0) ^ 1;
    expect(await refusal(image)).toEqual(refused);
  });

  test.each([
    ["nothing", ""],
    ["text", "an image"],
    ["SVG", '<svg xmlns="http://www.w3.org/2000/svg" width="2" height="2"><rect width="2"/></svg>'],
    [
      "SVG with a prolog",
      '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="2" height="2"/>',
    ],
    ["PDF", "%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj trailer<</Root 1 0 R>>"],
    [
      "a Radiance image",
      "#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n\u0001\u0001\u0001\u0001",
    ],
    ["a PPM", "P3 1 1 255 1 2 3"],
  ])("%s", async (_, content) => {
    expect(await refusal(Buffer.from(content))).toEqual(refused);
  });

  test.each([
    ["GIF", drawn(COLOURS, 3, 3).gif()],
    ["TIFF", drawn(COLOURS, 3, 3).tiff()],
    ["AVIF", drawn(COLOURS, 3, 3).avif()],
  ])("%s, since each decoder more is one more for untrusted bytes to reach", async (_, image) => {
    expect(await refusal(await image.toBuffer())).toEqual(refused);
  });

  test("a small file of more pixels than fit into memory", async () => {
    const bomb = await sharp({
      create: { width: 5000, height: 4801, channels: 3, background: "black" },
    })
      .png({ compressionLevel: 9 })
      .toBuffer();
    expect(bomb.length).toBeLessThan(100_000);
    expect(await refusal(bomb)).toEqual(refused);
    expect(await refusal(bomb)).toMatchObject({ message: expect.stringContaining("pixel limit") });
  });

  test("a PNG whose head claims a whole wall", async () => {
    const image = await png(COLOURS, 3, 3);
    // After the signature: the length and name of IHDR, width and height, five bytes more, its checksum.
    image.writeUInt32BE(60_000, 16);
    image.writeUInt32BE(60_000, 20);
    image.writeUInt32BE(crc32(image.subarray(12, 29)), 29);
    expect(await refusal(image)).toMatchObject({
      code: "IMAGE_INVALID",
      message: expect.stringContaining("pixel limit"),
    });
  });

  test("any bytes that only begin like an image, and never in another way", async () => {
    const heads = ["\u0089PNG\r\n\u001a\n", "\u00ff\u00d8\u00ff\u00e0", "RIFF\u0010\0\0\0WEBPVP8 "];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...heads), fc.uint8Array(), async (head, rest) => {
        const bytes = Buffer.concat([Buffer.from(head, "latin1"), rest]);
        expect(await refusal(bytes)).toEqual(refused);
      }),
      { numRuns: 200 },
    );
  });
});
