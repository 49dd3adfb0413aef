import * as fc from "fast-check";
import { expect, it } from "vitest";

import { Duration } from "../aiapp/fields.ts";
import { milliseconds } from "./duration.ts";

it.each([
  ["1s", 1000],
  ["250ms", 250],
  ["5m", 300_000],
  ["24h", 86_400_000],
  ["1h30m", 5_400_000],
  ["1m30s500ms", 90_500],
  ["1m1ms", 60_001],
  ["90m", 5_400_000],
  ["007s", 7000],
])("%s is %d ms", (text, expected) => expect(milliseconds(text)).toBe(expected));

it("is the sum of its parts, for all that the schema lets through", () => {
  const units = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  const part = fc.tuple(fc.nat(99_999), fc.constantFrom(...(["h", "m", "s", "ms"] as const)));
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
      const text = parts.map(([count, unit]) => `${count}${unit}`).join("");
      expect(Duration.safeParse(text).success).toBe(true);
      expect(milliseconds(text)).toBe(
        parts.reduce((sum, [count, unit]) => sum + count * units[unit], 0),
      );
    }),
  );
});
