import type { Patch } from "../onnx/patch.ts";
import type { Tensors } from "../tensor/tensor.ts";
import type { Signature } from "./signature.ts";

/** What the main thread and a worker send to each other. */
export type ToWorker =
  | {
      readonly kind: "run";
      readonly id: number;
      readonly inputs: Tensors;
      readonly outputs: readonly string[];
    }
  | { readonly kind: "end" };

export type FromWorker =
  | { readonly kind: "ready"; readonly signature: Signature }
  | { readonly kind: "refused"; readonly message: string }
  | {
      readonly kind: "result";
      readonly id: number;
      readonly outputs: Tensors;
      /** Milliseconds of the run itself. */
      readonly ms: number;
    }
  | { readonly kind: "failed"; readonly id: number; readonly message: string };

/** What runs the model. */
export const providers = ["cpu", "cuda"] as const;
export type Provider = (typeof providers)[number];

export interface SessionOptions {
  readonly modelFile: string;
  /** What of the file is replaced before it is loaded. */
  readonly patches: readonly Patch[];
  readonly provider: Provider;
  /** Threads of the runtime per worker. */
  readonly threads: number;
}
