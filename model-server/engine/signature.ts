import type { Datatype } from "../tensor/tensor.ts";

/** An input or output of the model. Free dimensions are undefined. */
export interface Port {
  readonly name: string;
  readonly datatype: Datatype;
  readonly dims: readonly (number | undefined)[];
}

export interface Signature {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly batch: Batch;
}

/** What dimension 0 is, over all inputs and outputs. */
export type Batch =
  /** Any number of rows, by the names that the model gives its dimensions: requests may share a run. */
  | { readonly kind: "named" }
  /** Free everywhere, but without a name: it may be rows. */
  | { readonly kind: "free" }
  /** As many rows as this, no more and no fewer. */
  | { readonly kind: "fixed"; readonly rows: number }
  /** No batch: a run takes its inputs as they are. */
  | { readonly kind: "none" };

/** A dimension as the model declares it: a size, or the symbol of a free one ("" without a name). */
export type DeclaredDim = number | string;

const BATCH_NAME = /^(n|b|bs|.*batch.*|rows?|(num_?)?(samples|examples)|none)$/i;

/** Reads the batch off the first dimension of every input and output. */
export function batchOf(ports: readonly (readonly DeclaredDim[])[]): Batch {
  const firsts = new Set(ports.map((dims) => dims[0]));
  const [first, ...others] = firsts;
  if (typeof first === "number" && first >= 1 && others.length === 0)
    return { kind: "fixed", rows: first };
  if ([...firsts].some((dim) => typeof dim !== "string")) return { kind: "none" };
  return others.length === 0 && typeof first === "string" && BATCH_NAME.test(first)
    ? { kind: "named" }
    : { kind: "free" };
}

/** `[any, 4]`. */
export function describeDims(dims: Port["dims"]): string {
  return `[${dims.map((dim) => dim ?? "any").join(", ")}]`;
}
