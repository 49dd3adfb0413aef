/** A tensor of numbers, row-major. Model inputs of other types take what these convert to. */
export interface Tensor {
  readonly dims: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** What a model takes or gives: dimensions that are free are undefined. */
export interface Port {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly (number | undefined)[];
}

export interface Signature {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/** What main thread and worker say to each other. */
export type ToWorker =
  | { readonly kind: "run"; readonly id: number; readonly input: string; readonly tensor: Tensor }
  | { readonly kind: "end" };
export type FromWorker =
  | { readonly kind: "ready"; readonly signature: Signature }
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "result"; readonly id: number; readonly output: Tensor }
  | { readonly kind: "failed"; readonly id: number; readonly message: string };
