import type { Engine } from "../engine/engine.ts";
import { quoted, ServerError } from "../errors.ts";
import type { OnStage } from "../stages.ts";
import type { Tensor, Tensors } from "../tensor/tensor.ts";
import { checkInputs } from "./inputs.ts";
import { answerNoRows, checkElements } from "./no-rows.ts";
import { runInParts, type RunOptions } from "./run.ts";

export interface Inferred {
  readonly outputs: Tensors;
  /** Of the inputs; undefined where the model has no batch and they differ. */
  readonly rows: number | undefined;
}

export interface InferOptions extends RunOptions {
  /** Names an input in messages. */
  readonly nameOf: (input: string) => string;
}

/**
 * Checks tensors against the model and runs it.
 * @throws REQUEST_INVALID, and what the engine throws
 */
export async function runChecked(
  engine: Engine,
  inputs: Tensors,
  outputs: readonly string[],
  options: InferOptions,
  signal: AbortSignal,
  onStage?: OnStage,
): Promise<Inferred> {
  const { signature } = engine;
  const rows = checkInputs(signature.inputs, inputs, options.batch, options.nameOf);
  for (const name of outputs)
    if (!signature.outputs.some((port) => port.name === name))
      throw new ServerError(
        "REQUEST_INVALID",
        `the model has no output ${quoted(name)}: it gives ${signature.outputs.map((port) => port.name).join(", ")}`,
      );
  // In the model's order: requests that name their inputs in another one may share a run.
  const ordered = new Map<string, Tensor>();
  for (const { name } of signature.inputs) {
    const tensor = inputs.get(name);
    if (tensor === undefined) continue;
    checkElements(tensor, options.batch, options.nameOf(name));
    ordered.set(name, tensor);
  }
  if (rows === 0) return { outputs: answerNoRows(signature.outputs, outputs), rows };
  const given = await runInParts(engine, ordered, outputs, options, signal, onStage);
  return { outputs: given, rows };
}
