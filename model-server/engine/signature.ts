import type { Datatype } from "../tensor/tensor.ts";

/** An input or output of the model. Free dimensions are undefined. */
export interface Port {
  readonly name: string;
  readonly datatype: Datatype;
  readonly dims: readonly (number | undefined)[];
}

export interface OutputPort extends Port {
  readonly rows: OutputRows;
}

export interface Signature {
  readonly inputs: readonly Port[];
  readonly outputs: readonly OutputPort[];
  readonly batch: Batch;
}

/** What dimension 0 is, over all inputs and outputs, and what the server makes of it. */
export type Batch =
  /** Any number of rows: requests may share a run, and a large one runs in parts. */
  | { readonly kind: "shared" }
  /** Any number of rows, but they may belong together: each request has a run of its own. */
  | { readonly kind: "free" }
  /** As many rows as this, no more and no fewer. */
  | { readonly kind: "fixed"; readonly rows: number }
  /** No batch: a run takes its inputs as they are. */
  | { readonly kind: "none" };

/**
 * Whether an output has a row for each row of the inputs, by what the model declares. `perhaps`: only a run shows it, since
 * exporters give outputs other names than inputs, and so do models that give what they find.
 */
export type OutputRows = "each" | "perhaps" | "none";

/** A dimension as the model declares it: a size, or the symbol of a free one ("" without a name). */
export type DeclaredDim = number | string;
export type DeclaredDims = readonly DeclaredDim[];

/** `N`, or a name with `batch` in it. Others (`n`, `rows`, `samples`) also name elements that belong together. */
function isBatchName(symbol: DeclaredDim | undefined): boolean {
  return symbol === "N" || (typeof symbol === "string" && /batch/i.test(symbol));
}

/** Reads the batch off the first dimension of every input and output. */
export function batchOf(inputs: readonly DeclaredDims[], outputs: readonly DeclaredDims[]): Batch {
  const [first, ...others] = new Set(inputs.map(([dim]) => dim));
  if (first === undefined || others.length > 0) return { kind: "none" };
  if (typeof first === "number") {
    // Zeros that are added to a vector are elements of it.
    const hasRows =
      inputs.every(isOfRows) &&
      outputs.every((dims) => dims[0] === first && (isOfRows(dims) || first === 1));
    return first >= 1 && hasRows ? { kind: "fixed", rows: first } : { kind: "none" };
  }
  if (!outputs.every(([dim]) => typeof dim === "string")) return { kind: "none" };
  const isShared = isBatchName(first) && outputs.every(([dim]) => dim === first);
  return { kind: isShared ? "shared" : "free" };
}

/** What an output's first dimension says beside those of the inputs; scalars have none. */
export function rowsOf(output: DeclaredDims, inputs: readonly DeclaredDims[]): OutputRows {
  const [first] = output;
  const ranked = inputs.filter((dims) => dims.length > 0);
  const firsts = new Set(ranked.map(([dim]) => dim));
  const [lead, ...others] = firsts;
  if (first === undefined || lead === undefined) return "none";
  if (others.length > 0)
    return firsts.has(first) && first !== "" && areMixed(ranked) ? "none" : "perhaps";
  if (typeof first === "string" || typeof lead === "string")
    return first === lead && first !== "" ? "each" : "perhaps";
  if (first !== lead || !ranked.every(isOfRows)) return "none";
  return isOfRows(output) || first === 1 ? "each" : "perhaps";
}

/** Whether the first dimension of an input is another one of an input, as in a product of matrices. */
function areMixed(inputs: readonly DeclaredDims[]): boolean {
  const others = new Set(inputs.flatMap((dims) => dims.slice(1)));
  return inputs.some(([dim]) => typeof dim === "string" && dim !== "" && others.has(dim));
}

/** Of one dimension, rows of one number cannot be distinguished from elements. */
function isOfRows(dims: DeclaredDims): boolean {
  return dims.length > 1;
}

/** The signature that is served: `on` makes a batch of every free dimension, `off` has inputs run as they come. */
export function withBatching(signature: Signature, batching: "auto" | "on" | "off"): Signature {
  const { inputs, outputs, batch } = signature;
  if (batching === "auto") return signature;
  if (batching === "off") return { ...signature, batch: asTheyCome(batch) };
  const isFree = inputs.every(({ dims }) => dims.length > 0 && dims[0] === undefined);
  if (inputs.length === 0 || !isFree || outputs.some(({ dims }) => dims.length === 0))
    return signature;
  return {
    inputs,
    outputs: outputs.map((port) => ({ ...port, rows: "each" })),
    batch: { kind: "shared" },
  };
}

function asTheyCome(batch: Batch): Batch {
  switch (batch.kind) {
    case "shared":
      return { kind: "free" };
    case "fixed":
      return { kind: "none" };
    case "free":
    case "none":
      return batch;
  }
}

/** `[any, 4]`. */
export function describeDims(dims: Port["dims"]): string {
  return `[${dims.map((dim) => dim ?? "any").join(", ")}]`;
}
