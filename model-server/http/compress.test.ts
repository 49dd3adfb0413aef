import { expect, test } from "vitest";

import { acceptedEncoding } from "./compress.ts";

test.each([
  [undefined, undefined],
  ["", undefined],
  ["gzip", "gzip"],
  ["deflate", "deflate"],
  ["br, deflate;q=0.5, gzip", "deflate"],
  ["GZIP ; q=0.1", "gzip"],
  ["deflate;q=0, gzip;q=0.0", undefined],
  ["gzip;q=0.000, deflate", "deflate"],
  ["identity, br", undefined],
  ["*", undefined],
])("Accept-Encoding: %s is answered with %s", (header, encoding) => {
  expect(acceptedEncoding(header)).toBe(encoding);
});
