import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { allowsNetwork } from "./source-range.ts";

describe("an allowed source range", () => {
  it.each([
    ["203.0.113.0/24", "203.0.113.0/24", true],
    ["203.0.113.0/24", "203.0.113.64/26", true],
    ["203.0.113.0/24", "203.0.113.0/23", false],
    ["203.0.113.0/24", "203.0.114.0/24", false],
    ["0.0.0.0/0", "0.0.0.0/0", true],
    ["0.0.0.0/0", "::/0", false],
    ["::/0", "10.0.0.0/8", false],
    ["::/0", "::ffff:a00:0/104", false],
    ["2001:db8::/32", "2001:DB8:1::/48", true],
    ["2001:db8::/32", "2001:db9::/48", false],
    ["203.0.113.0/24", "203.0.113.7", false],
    ["203.0.113.0/24", "203.0.113.0/24/1", false],
    ["203.0.113.0/24", "0203.0.113.0/26", false],
    ["0.0.0.0/0", "10.0.0.0/33", false],
    ["fe80::/10", "fe80::1%eth0/64", false],
    ["0.0.0.0/0", "AzureCloud", false],
  ])("%s: %s is allowed: %s", (allowed, network, expected) => {
    expect(allowsNetwork(allowed, network)).toBe(expected);
  });

  it("holds every address of the range", () => {
    const network = fc
      .tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 }))
      .map(([address, length]) => ({ text: `${address}/${length}`, ...bounds(address, length) }));
    fc.assert(
      fc.property(network, network, (a, b) => {
        expect(allowsNetwork(a.text, b.text)).toBe(a.first <= b.first && b.last <= a.last);
        expect(allowsNetwork(a.text, a.text)).toBe(true);
      }),
    );
  });
});
/** The first and the last address of a range, as numbers. */
function bounds(
  address: string,
  length: number,
): { readonly first: number; readonly last: number } {
  const number = address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const size = 2 ** (32 - length);
  const first = Math.floor(number / size) * size;
  return { first, last: first + size - 1 };
}
