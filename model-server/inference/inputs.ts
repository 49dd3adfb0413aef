import { describeDims, type Batch, type Port } from "../engine/signature.ts";
import { invalidRequest, quoted } from "../errors.ts";
import type { Tensors } from "../tensor/tensor.ts";
import { checkShape } from "./shape.ts";

/**
 * Checks tensors against the model's inputs.
 * @param nameOf names an input in messages
 * @returns the rows that all of them have; undefined where the model has no batch and they differ
 * @throws REQUEST_INVALID
 */
export function checkInputs(
  ports: readonly Port[],
  inputs: Tensors,
  batch: Batch,
  nameOf: (input: string) => string,
): number | undefined {
  for (const name of inputs.keys())
    if (!ports.some((port) => port.name === name))
      throw invalidRequest(
        `the model has no input ${quoted(name)}: it takes ${ports.map((port) => port.name).join(", ")}`,
      );
  const rows = new Set<number>();
  for (const port of ports) {
    const tensor = inputs.get(port.name);
    if (tensor === undefined)
      throw invalidRequest(
        `the input ${port.name} is missing: the model takes it as ${port.datatype} of shape ${describeDims(port.dims)}`,
      );
    checkShape(tensor, port, nameOf(port.name), { anyRows: batch.kind === "fixed" });
    const [first] = tensor.dims;
    if (first !== undefined) rows.add(first);
  }
  if (rows.size <= 1) return [...rows][0];
  if (batch.kind === "none") return undefined;
  throw invalidRequest(
    `the inputs have ${[...rows].join(" and ")} rows: every input needs as many`,
  );
}
