import type { Batch, Port } from "../engine/signature.ts";
import { invalidRequest } from "../errors.ts";
import { createData, createTensor, type Tensor, type Tensors } from "../tensor/tensor.ts";

/**
 * Requests of no rows. The model never runs on tensors of no elements: some of the runtime's operators (TopK, GRU) then end
 * the process.
 */

/**
 * Checks that only the number of rows is 0, and only where the model has rows.
 * @param what names the tensor in the message
 * @throws REQUEST_INVALID
 */
export function checkElements({ dims }: Tensor, batch: Batch, what: string): void {
  if (!dims.includes(0)) return;
  const shape = `${what} has the shape [${dims.join(", ")}]`;
  if (batch.kind === "none")
    throw invalidRequest(`${shape}: the model has no batch, so that every size must be at least 1`);
  if (dims.slice(1).includes(0)) throw invalidRequest(`${shape}: every row needs values`);
}

/**
 * The outputs of no rows, without a run.
 * @param ports the model's outputs
 * @throws REQUEST_INVALID where the model does not declare the size of an output's rows
 */
export function answerNoRows(ports: readonly Port[], outputs: readonly string[]): Tensors {
  const answer = new Map<string, Tensor>();
  for (const { name, datatype, dims } of ports) {
    if (!outputs.includes(name)) continue;
    const row = dims.slice(1).filter((dim) => dim !== undefined);
    if (row.length + 1 !== dims.length)
      throw invalidRequest(
        `only a run shows the shape of the output ${JSON.stringify(name)}: send at least one row`,
      );
    answer.set(name, createTensor(datatype, [0, ...row], createData(datatype, 0)));
  }
  return answer;
}
