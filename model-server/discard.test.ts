import { expect, test } from "vitest";

import { discard } from "./discard.ts";

const LARGE = 64 * 1024;

test("a large array is empty once it is discarded, also twice", () => {
  const array = new Float32Array(LARGE);
  discard(array);
  discard(array);
  expect(array).toHaveLength(0);
  expect(array.buffer.detached).toBe(true);
});

test("a part of a larger buffer stays, and what is beside it", () => {
  const whole = new Uint8Array(2 * LARGE).fill(1);
  discard(whole.subarray(0, LARGE));
  expect(whole.every((byte) => byte === 1)).toBe(true);
});

test("a small array is left to the garbage collector", () => {
  const array = Buffer.from("a small body");
  discard(array);
  expect(array.toString()).toBe("a small body");
});
