import type { OutputPort } from "../engine/signature.ts";
import { quoted, ServerError } from "../errors.ts";
import { classify } from "../protocol/classification.ts";
import type { NamedOutput } from "../protocol/infer-answer.ts";
import type { InferRequest, RequestedOutput } from "../protocol/infer.ts";
import type { OnStage } from "../stages.ts";
import type { Tensor, Tensors } from "../tensor/tensor.ts";
import type { Model } from "./model.ts";

export interface InferResult {
  readonly outputs: readonly NamedOutput[];
  readonly rows: number;
  /** The outputs as the model gave them. */
  readonly tensors: Tensors;
}

/** Runs a request of the Open Inference Protocol: the outputs in the order in which it names them, or the model's. */
export async function inferRequested(
  model: Model,
  request: InferRequest,
  signal: AbortSignal,
  onStage?: OnStage,
): Promise<InferResult> {
  const wanted = outputsOf(model, request);
  const names = wanted.map(({ name }) => name);
  const { outputs, rows } = await model.infer(request.inputs, names, signal, onStage);
  const { signature } = model;
  const hasBatch = signature.batch.kind !== "none";
  return {
    rows: rows ?? 1,
    tensors: outputs,
    outputs: wanted.map(({ name, isBinary, classes }) => {
      const tensor = outputs.get(name);
      if (tensor === undefined)
        throw new ServerError("INTERNAL", `the model gave no output ${name}`);
      if (classes === 0) return { name, tensor, isBinary };
      const port = signature.outputs.find((one) => one.name === name);
      const hasRows = tensor.dims.length > 0 && (hasBatch || isOfRows(port, tensor, rows));
      const classified = classify(name, tensor, classes, { labels: model.labelsOf(name), hasRows });
      return { name, tensor: classified, isBinary };
    }),
  };
}

/** Without a batch, what is declared decides; where that is open, whether there are as many rows as in the inputs. */
function isOfRows(
  port: OutputPort | undefined,
  { dims }: Tensor,
  rows: number | undefined,
): boolean {
  return (
    port?.rows === "each" || (port?.rows === "perhaps" && rows !== undefined && dims[0] === rows)
  );
}

function outputsOf(
  model: Model,
  { outputs = [], isBinary }: InferRequest,
): readonly RequestedOutput[] {
  if (outputs.length === 0)
    return model.signature.outputs.map(({ name }) => ({ name, isBinary, classes: 0 }));
  const names = new Set<string>();
  for (const { name } of outputs) {
    if (names.has(name))
      throw new ServerError(
        "REQUEST_INVALID",
        `the output ${quoted(name)} is there twice: name it once`,
      );
    names.add(name);
  }
  return outputs;
}
