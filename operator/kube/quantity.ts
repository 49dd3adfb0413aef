/**
 * Quantities of the API (`500m`, `0.5`, `1Gi`, `1e3`). The client library's own function is not exported, and it
 * refuses `1.5Gi`; this one is exact.
 */

const SHAPE = /^([+-]?)(\d*)(?:\.(\d*))?([numkMGTPE]|[KMGTPE]i)?(?:[eE]([+-]?\d{1,3}))?$/;
/** Longer than any number that the API server keeps: it has no more than 2^63 and nine decimal places. */
const MAX_LENGTH = 64;
const MAX_EXPONENT = 40;
const NANOS_PER_ONE = 10n ** 9n;

const decimalPowers: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  "": 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};

const binaryPowers: Readonly<Record<string, bigint>> = {
  Ki: 1n,
  Mi: 2n,
  Gi: 3n,
  Ti: 4n,
  Pi: 5n,
  Ei: 6n,
};

/**
 * A quantity in billionths, rounded away from zero as the API server rounds; undefined for a text that is no quantity
 * or that is beyond all that the API server keeps.
 */
export function nanosOf(text: string): bigint | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const match = SHAPE.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = "", fraction = "", suffix = "", exponent] = match;
  const power = exponent === undefined ? (decimalPowers[suffix] ?? 0) : Number(exponent);
  if (whole + fraction === "" || Math.abs(power) > MAX_EXPONENT) return undefined;
  if (exponent !== undefined && suffix !== "") return undefined;
  const scale = 1024n ** (binaryPowers[suffix] ?? 0n) * NANOS_PER_ONE;
  const shift = power - fraction.length;
  const amount = BigInt(whole + fraction) * scale * 10n ** BigInt(Math.max(0, shift));
  const divisor = 10n ** BigInt(Math.max(0, -shift));
  const nanos = (amount + divisor - 1n) / divisor;
  return sign === "-" ? -nanos : nanos;
}

/** Whether two texts are the same amount: the API server writes quantities back in its own form ("0.5" as "500m"). */
export function sameQuantity(a: string, b: string): boolean {
  if (a === b) return true;
  const nanos = nanosOf(a);
  return nanos !== undefined && nanos === nanosOf(b);
}
