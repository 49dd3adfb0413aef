import { numbersOf } from "../tensor/numbers.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { bytesOfTensor } from "./binary.ts";

export interface NamedOutput {
  readonly name: string;
  readonly tensor: Tensor;
  readonly isBinary: boolean;
}

export interface InferAnswer {
  readonly body: Buffer;
  /** The bytes of JSON at its beginning; undefined: all of it. */
  readonly headerLength: number | undefined;
}

/** The answer of `POST …/infer`. */
export function encodeAnswer(
  head: { readonly model: string; readonly version: string; readonly id: string | undefined },
  outputs: readonly NamedOutput[],
): InferAnswer {
  const raw: Uint8Array[] = [];
  const described = outputs.map(({ name, tensor, isBinary }) => {
    const { datatype, dims } = tensor;
    if (!isBinary) return { name, datatype, shape: dims, data: jsonOf(tensor) };
    const bytes = bytesOfTensor(tensor);
    raw.push(bytes);
    return { name, datatype, shape: dims, parameters: { binary_data_size: bytes.length } };
  });
  const json = Buffer.from(
    JSON.stringify({
      model_name: head.model,
      ...(head.version !== "" && { model_version: head.version }),
      ...(head.id !== undefined && { id: head.id }),
      outputs: described,
    }),
  );
  return raw.length === 0
    ? { body: json, headerLength: undefined }
    : { body: Buffer.concat([json, ...raw]), headerLength: json.length };
}

/** Values in JSON, flat: text for what JSON has no numbers for, as requests may send it. */
export function jsonOf(tensor: Tensor): readonly unknown[] {
  const { datatype, data } = tensor;
  switch (datatype) {
    case "BYTES":
      return data;
    case "BOOL":
      return Array.from(data, (value) => value === 1);
    case "INT64":
    case "UINT64":
      // Readers of JSON would change digits beyond 2^53.
      return Array.from(data, (value) =>
        Number.isSafeInteger(Number(value)) ? Number(value) : String(value),
      );
    case "FP16":
    case "FP32":
    case "FP64":
      return Array.from(numbersOf(tensor) ?? [], (value) =>
        Number.isFinite(value) ? value : String(value),
      );
    case "INT8":
    case "INT16":
    case "INT32":
    case "UINT8":
    case "UINT16":
    case "UINT32":
      return Array.from(data);
  }
}
