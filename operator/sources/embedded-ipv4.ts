import { isIPv4 } from "node:net";

/**
 * The IPv4 address that an IPv6 address stands for: IPv4-mapped (::ffff:0:0/96), IPv4-compatible (::/96), IPv4-translated
 * (::ffff:0:0:0/96), NAT64 (64:ff9b::/96, 64:ff9b:1::/48) or 6to4 (2002::/16). Undefined for any other.
 */
export function embeddedIPv4(address: string): string | undefined {
  const groups = groupsOf(address);
  if (groups === undefined) return undefined;
  const [first, second, third, fourth, fifth, sixth, high = 0, low = 0] = groups;
  const last = dotted(high, low);
  const startsWith = (...prefix: readonly number[]): boolean =>
    prefix.every((group, index) => groups[index] === group);
  if (first === 0x2002) return dotted(second ?? 0, third ?? 0);
  if (startsWith(0x64, 0xff9b, 1)) return last;
  if (startsWith(0x64, 0xff9b, 0, 0, 0, 0)) return last;
  if (!startsWith(0, 0, 0, 0)) return undefined;
  const isMapped = fifth === 0 && sixth === 0xffff;
  const isTranslated = fifth === 0xffff && sixth === 0;
  // ::1 and :: are addresses of their own.
  const isCompatible = fifth === 0 && sixth === 0 && (high > 0 || low > 1);
  return fourth === 0 && (isMapped || isTranslated || isCompatible) ? last : undefined;
}

/** The eight groups of an IPv6 address, with or without a zone; undefined for a text that is none. */
function groupsOf(address: string): readonly number[] | undefined {
  const text = address.replace(/%.*$/, "");
  const quad = /(\d+\.\d+\.\d+\.\d+)$/.exec(text)?.[1];
  const written = quad === undefined ? text : text.slice(0, -quad.length) + hexOf(quad);
  const [before = "", after, ...more] = written.split("::");
  if (more.length > 0 || (quad !== undefined && !isIPv4(quad))) return undefined;
  const [head, tail] = [parse(before), parse(after ?? "")];
  const zeros = after === undefined ? 0 : 8 - head.length - tail.length;
  const groups = [...head, ...Array.from({ length: Math.max(0, zeros) }, () => 0), ...tail];
  return groups.length === 8 && groups.every((group) => group >= 0 && group <= 0xffff)
    ? groups
    : undefined;
}

function parse(text: string): readonly number[] {
  return text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
}

function hexOf(quad: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = quad.split(".").map(Number);
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
