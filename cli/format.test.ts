import { expect, test } from "vitest";

import { formatBytes, formatDuration, parseDuration } from "./format.ts";

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1.5 * 1024 ** 3, "1.5 GiB"],
  [200 * 1024 ** 2, "200 MiB"],
])("%d bytes read as %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

test.each([
  [-5, "0s"],
  [45_000, "45s"],
  [192_000, "3m12s"],
  [1_200_000, "20m"],
  [5 * 3_600_000, "5h"],
  [52 * 3_600_000, "2d4h"],
  [20 * 86_400_000, "20d"],
])("%d ms read as %s", (ms, text) => expect(formatDuration(ms)).toBe(text));

test.each([
  ["30s", 30_000],
  ["1h30m", 5_400_000],
  ["500ms", 500],
  ["5", undefined],
  ["soon", undefined],
  ["1d", undefined],
  ["", undefined],
])("the duration %j is %s ms", (text, ms) => expect(parseDuration(text)).toBe(ms));
