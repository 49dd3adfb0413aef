import { expect, test } from "vitest";

import { createBatchSize, type BatchSize } from "./batch-size.ts";

/** Runs as under load: each as large as may be. @returns the largest that was run */
function serve(size: BatchSize, runs: number, msOf: (rows: number) => number): number {
  let largest = 0;
  for (let run = 0; run < runs; run += 1) {
    const rows = size.rows();
    largest = Math.max(largest, rows);
    size.observe(rows, msOf(rows));
  }
  return largest;
}

test("runs whose cost is that of the run, not of its rows, grow to the limit", () => {
  const size = createBatchSize(48);
  serve(size, 100, (rows) => 1 + 0.01 * rows);
  expect(size.rows()).toBe(32);
});

test("rows that get no cheaper together run alone, and were never tried by more than two", () => {
  const size = createBatchSize(64);
  expect(serve(size, 100, (rows) => 40 * rows)).toBe(2);
  expect(size.rows()).toBe(1);
});

test("runs grow as far as rows get cheaper", () => {
  const size = createBatchSize(64);
  serve(size, 100, (rows) => Math.max(4, rows));
  expect(size.rows()).toBe(4);
});

test("runs that are slow by chance do not count", () => {
  const size = createBatchSize(64);
  let run = 0;
  serve(size, 200, (rows) => (1 + 0.01 * rows) * (run++ % 3 === 0 ? 1 : 10));
  expect(size.rows()).toBe(64);
});

test("what has changed is found again: rows that got dear run alone, rows that got cheap share", () => {
  const size = createBatchSize(8);
  serve(size, 100, () => 1);
  expect(size.rows()).toBe(8);
  serve(size, 10_000, (rows) => rows);
  expect(size.rows()).toBeLessThanOrEqual(2);
  serve(size, 10_000, () => 1);
  expect(size.rows()).toBe(8);
});

test("runs of other sizes say nothing: few wait, or one request has many rows", () => {
  const size = createBatchSize(8);
  serve(size, 20, () => 1);
  for (let run = 0; run < 400; run += 1) {
    size.observe(1, 100);
    size.observe(1000, 100_000);
  }
  expect(size.rows()).toBe(8);
});
