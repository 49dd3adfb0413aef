import { OperatorError } from "../../errors.ts";
import { nanosOf } from "../quantity.ts";

const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"] as const;
const DECIMAL = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"] as const;
const NANO = 10n ** 9n;

/** A quantity as the API server writes it back: whole numbers with the largest suffix that loses nothing. */
export function canonicalQuantity(text: string): string {
  const nanos = nanosOf(text);
  if (nanos === undefined) throw new OperatorError("KUBE_INVALID", `not a quantity: ${text}`);
  if (/[eE]\d/.test(text) || nanos < 0n)
    throw new Error(`the fake does not write negative quantities or exponents: ${text}`);
  const isBinary = text.endsWith("i") && nanos % NANO === 0n && nanos >= 1024n * NANO;
  return isBinary ? shortest(nanos / NANO, 1024n, BINARY) : shortest(nanos, 1000n, DECIMAL);
}

function shortest(amount: bigint, base: bigint, suffixes: readonly string[]): string {
  if (amount === 0n) return "0";
  let left = amount;
  let power = 0;
  while (left % base === 0n && power < suffixes.length - 1) {
    left /= base;
    power += 1;
  }
  return `${left}${suffixes[power] ?? ""}`;
}
