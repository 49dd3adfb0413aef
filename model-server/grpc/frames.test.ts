import * as fc from "fast-check";
import { expect, test } from "vitest";

import { createFrames } from "./frames.ts";

function frame(length: number): Buffer {
  const bytes = Buffer.alloc(5 + length);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

test("each message begins once, with all of its bytes, however they are cut into chunks", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 }),
      (lengths, cuts) => {
        const bytes = Buffer.concat(lengths.map(frame));
        const { split } = createFrames();
        const sizes: number[] = [];
        for (let at = 0, cut = 0; at < bytes.length; cut += 1) {
          const end = at + (cuts[cut % cuts.length] ?? 1);
          for (const { isStart, bytes: size } of split(bytes.subarray(at, end)))
            if (isStart) sizes.push(size);
            else sizes.push((sizes.pop() ?? 0) + size);
          at = end;
        }
        expect(sizes).toEqual(lengths.map((length) => length + 5));
      },
    ),
  );
});
