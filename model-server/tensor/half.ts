/// <reference lib="esnext.float16" />

/** The first number that rounds to infinity. */
export const MAX_HALF = 65_520;

const scratch = new Float16Array(1);
const bits = new Uint16Array(scratch.buffer);

/** The bits of the nearest half (IEEE 754 binary16). */
export function encodeHalf(value: number): number {
  scratch[0] = value;
  return bits[0] ?? 0;
}

/** The number that these bits are. */
export function decodeHalf(value: number): number {
  bits[0] = value;
  return scratch[0] ?? 0;
}
