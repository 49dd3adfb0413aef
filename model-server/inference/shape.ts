import { describeDims, type Port } from "../engine/signature.ts";
import { ServerError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * Checks what the runtime would reject with words of its own. The first dimension is free where the model's batch is
 * fixed: the server runs rows in batches of that size.
 * @param what names the tensor in the message
 * @throws REQUEST_INVALID
 */
export function checkShape(
  { datatype, dims }: Tensor,
  port: Port,
  what: string,
  options: { readonly anyRows: boolean },
): void {
  if (datatype !== port.datatype)
    throw new ServerError(
      "REQUEST_INVALID",
      `${what} has the datatype ${datatype}, the model takes ${port.datatype}`,
    );
  const takes = options.anyRows ? [undefined, ...port.dims.slice(1)] : port.dims;
  const fits =
    dims.length === takes.length &&
    takes.every((dim, axis) => dim === undefined || dim === dims[axis]);
  if (!fits)
    throw new ServerError(
      "REQUEST_INVALID",
      `${what} has the shape [${dims.join(", ")}], the model takes ${describeDims(takes)}`,
    );
}
