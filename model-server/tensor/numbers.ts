/// <reference lib="esnext.float16" />
import { decodeHalf } from "./half.ts";
import type { Tensor, TensorData } from "./tensor.ts";

/** The elements as JavaScript's numbers, undefined of text. Integers beyond 2^53 lose digits. */
export function numbersOf({ datatype, data }: Tensor): Float64Array | undefined {
  if (datatype === "BYTES") return undefined;
  return Float64Array.from(data, datatype === "FP16" ? (bits) => decodeHalf(Number(bits)) : Number);
}

/** The datatypes that images can become. */
export const imageDatatypes = ["FP32", "FP64", "FP16", "UINT8"] as const;
export type ImageDatatype = (typeof imageDatatypes)[number];

export function isImageDatatype(datatype: string): datatype is ImageDatatype {
  return imageDatatypes.some((one) => one === datatype);
}

/** Numbers in the array of a datatype; those of UINT8 are rounded, and kept from 0 to 255. */
export function castFloats(values: Float32Array<ArrayBuffer>, datatype: ImageDatatype): TensorData {
  switch (datatype) {
    case "FP32":
      return values;
    case "FP64":
      return Float64Array.from(values);
    case "FP16":
      return new Uint16Array(Float16Array.from(values).buffer);
    case "UINT8":
      return new Uint8Array(Uint8ClampedArray.from(values).buffer);
  }
}
