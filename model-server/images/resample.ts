import type { Preprocessing } from "../bundle/preprocessing.ts";

export type Kernel = Preprocessing["kernel"];

/** One direction of a resize, and the part of its result that is wanted. */
export interface Axis {
  /** Pixels of the image. */
  readonly size: number;
  /** Pixels after the resize. */
  readonly resized: number;
  /** The first wanted pixel of those. */
  readonly from: number;
  /** How many are wanted. */
  readonly count: number;
}

/** From which pixels each wanted one comes, and with what weights. */
export interface Taps {
  /** The part of the image that is needed at all. */
  readonly first: number;
  readonly end: number;
  /** For each wanted pixel its first one in the image, and how many follow. */
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  /** So many for each wanted pixel, fixed-point. */
  readonly stride: number;
  readonly weights: Int32Array;
}

/** Bits behind the point of a weight: 8 of the pixel and 2 to spare leave these of 32. */
const PRECISION = 22;
const HALF = 1 << (PRECISION - 1);
export const CHANNELS = 3;

interface Filter {
  readonly support: number;
  readonly weight: (distance: number) => number;
}

const filters: Readonly<Record<Exclude<Kernel, "nearest">, Filter>> = {
  linear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  cubic: { support: 2, weight: cubic },
  lanczos3: { support: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Keys' cubic with a = -0.5. */
function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/**
 * The weights of Pillow's resize, which models are trained with: centres of pixels lie at halves, and a filter gets wider
 * by as much as the image gets smaller.
 */
export function tapsOf(axis: Axis, kernel: Kernel): Taps {
  return kernel === "nearest" ? nearestTaps(axis) : filterTaps(axis, filters[kernel]);
}

function nearestTaps({ size, resized, from, count }: Axis): Taps {
  const scale = size / resized;
  const starts = new Int32Array(count);
  // Summed up as Pillow does, so that rounding goes the same way.
  let centre = scale * 0.5;
  for (let index = 0; index < from; index += 1) centre += scale;
  for (let index = 0; index < count; index += 1) {
    starts[index] = Math.min(size - 1, Math.floor(centre));
    centre += scale;
  }
  const counts = new Int32Array(count).fill(1);
  const weights = new Int32Array(count).fill(1 << PRECISION);
  return { ...rangeOf(starts, counts), starts, counts, stride: 1, weights };
}

function filterTaps({ size, resized, from, count }: Axis, { support, weight }: Filter): Taps {
  const scale = size / resized;
  const stretch = Math.max(1, scale);
  const reach = support * stretch;
  const stride = Math.ceil(reach) * 2 + 1;
  const starts = new Int32Array(count);
  const counts = new Int32Array(count);
  const weights = new Int32Array(count * stride);
  const values = new Float64Array(stride);
  for (let index = 0; index < count; index += 1) {
    const centre = (from + index + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(size, Math.trunc(centre + reach + 0.5));
    let sum = 0;
    for (let tap = start; tap < end; tap += 1) {
      const value = weight((tap - centre + 0.5) / stretch);
      values[tap - start] = value;
      sum += value;
    }
    for (let tap = 0; tap < end - start; tap += 1) {
      const value = ((values[tap] ?? 0) / (sum === 0 ? 1 : sum)) * (1 << PRECISION);
      weights[index * stride + tap] = value < 0 ? value - 0.5 : value + 0.5;
    }
    starts[index] = start;
    counts[index] = end - start;
  }
  return { ...rangeOf(starts, counts), starts, counts, stride, weights };
}

function rangeOf(
  starts: Int32Array,
  counts: Int32Array,
): { readonly first: number; readonly end: number } {
  const last = starts.length - 1;
  return { first: starts[0] ?? 0, end: (starts[last] ?? 0) + (counts[last] ?? 0) };
}

/**
 * Resizes pixels of three channels: rows first, rounded to whole numbers, then columns.
 * @param pixels the part of the image from `first` to `end` of both directions
 */
export function resample(pixels: Uint8Array, across: Taps, down: Taps): Uint8Array {
  const width = across.end - across.first;
  const height = down.end - down.first;
  const rows = new Uint8Array(across.starts.length * height * CHANNELS);
  for (let y = 0; y < height; y += 1) resampleRow(pixels, y * width, across, rows, y);
  return resampleColumns(rows, across.starts.length, down);
}

function resampleRow(
  pixels: Uint8Array,
  offset: number,
  { first, starts, counts, stride, weights }: Taps,
  rows: Uint8Array,
  y: number,
): void {
  let out = y * starts.length * CHANNELS;
  for (let x = 0; x < starts.length; x += 1) {
    let at = (offset + (starts[x] ?? 0) - first) * CHANNELS;
    let red = HALF;
    let green = HALF;
    let blue = HALF;
    const begin = x * stride;
    const end = begin + (counts[x] ?? 0);
    for (let tap = begin; tap < end; tap += 1) {
      const weight = weights[tap] ?? 0;
      red += Math.imul(pixels[at] ?? 0, weight);
      green += Math.imul(pixels[at + 1] ?? 0, weight);
      blue += Math.imul(pixels[at + 2] ?? 0, weight);
      at += CHANNELS;
    }
    rows[out] = clamp(red >> PRECISION);
    rows[out + 1] = clamp(green >> PRECISION);
    rows[out + 2] = clamp(blue >> PRECISION);
    out += CHANNELS;
  }
}

function resampleColumns(
  rows: Uint8Array,
  width: number,
  { first, starts, counts, stride, weights }: Taps,
): Uint8Array {
  const length = width * CHANNELS;
  const result = new Uint8Array(starts.length * length);
  const sums = new Int32Array(length);
  for (let y = 0; y < starts.length; y += 1) {
    sums.fill(HALF);
    for (let tap = 0; tap < (counts[y] ?? 0); tap += 1) {
      const weight = weights[y * stride + tap] ?? 0;
      const row = ((starts[y] ?? 0) - first + tap) * length;
      for (let x = 0; x < length; x += 1)
        sums[x] = (sums[x] ?? 0) + Math.imul(rows[row + x] ?? 0, weight);
    }
    for (let x = 0; x < length; x += 1) result[y * length + x] = clamp((sums[x] ?? 0) >> PRECISION);
  }
  return result;
}

function clamp(value: number): number {
  if (value < 0) return 0;
  return value > 255 ? 255 : value;
}
