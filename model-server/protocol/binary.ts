import { isUtf8 } from "node:buffer";

import { invalidRequest } from "../errors.ts";
import { arrays, createTensor, type Datatype, type Tensor } from "../tensor/tensor.ts";

/** Tensors as raw bytes: row-major, little-endian; an element of BYTES is its length in four bytes, then itself. */

const LENGTH_BYTES = 4;

/** A body of the binary extension: JSON, then the raw bytes of its tensors. */
export interface SplitBody {
  /** Empty where the whole body is the raw bytes of one tensor. */
  readonly json: Buffer;
  readonly raw: Buffer;
}

/**
 * @param length the header Inference-Header-Content-Length
 * @throws REQUEST_INVALID
 */
export function splitBody(body: Buffer, length: string): SplitBody {
  const size = /^\d{1,15}$/.test(length) ? Number(length) : Number.NaN;
  if (!(size <= body.length))
    throw invalidRequest(
      `Inference-Header-Content-Length must be the length of the JSON, from 0 to the ${body.length} bytes of the body`,
    );
  return { json: body.subarray(0, size), raw: body.subarray(size) };
}

/**
 * A tensor in memory of its own.
 * @param count the elements that its shape has
 * @throws REQUEST_INVALID when there are fewer or more
 */
export function tensorOfBytes(
  bytes: Uint8Array,
  { datatype, dims, count }: RawShape,
  what: string,
): Tensor {
  if (datatype === "BYTES") return createTensor(datatype, dims, textsOf(bytes, count, what));
  const array = arrays[datatype];
  const expected = count * array.BYTES_PER_ELEMENT;
  if (bytes.length !== expected)
    throw invalidRequest(
      `${what} has ${bytes.length} bytes; ${datatype} of shape [${dims.join(", ")}] needs ${expected}`,
    );
  const copy = new Uint8Array(expected);
  copy.set(bytes);
  if (datatype === "BOOL" && copy.some((byte) => byte > 1))
    throw invalidRequest(`${what} is BOOL, whose bytes must be 0 or 1`);
  return createTensor(datatype, dims, new array(copy.buffer));
}

export interface RawShape {
  readonly datatype: Datatype;
  readonly dims: readonly number[];
  readonly count: number;
}

/** @throws REQUEST_INVALID */
export function textOfBytes(bytes: Uint8Array, what: string): string {
  if (!isUtf8(bytes))
    throw invalidRequest(`${what} holds bytes that are not UTF-8: the model takes text`);
  // The runtime would cut it there.
  if (bytes.includes(0)) throw invalidRequest(`${what} holds text with the character NUL`);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
}

function textsOf(bytes: Uint8Array, count: number, what: string): readonly string[] {
  // Before anything is stored: each element takes its length at least.
  const wrong = `${what} does not hold ${count} elements, each its length in four bytes and then itself`;
  if (bytes.length < count * LENGTH_BYTES) throw invalidRequest(wrong);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const texts: string[] = [];
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    if (at + LENGTH_BYTES > bytes.length) throw invalidRequest(wrong);
    const start = at + LENGTH_BYTES;
    const end = start + view.getUint32(at, true);
    if (end > bytes.length) throw invalidRequest(wrong);
    texts.push(textOfBytes(bytes.subarray(start, end), what));
    at = end;
  }
  if (at !== bytes.length) throw invalidRequest(wrong);
  return texts;
}

/** A tensor's raw bytes, which share its memory unless it is text. */
export function bytesOfTensor({ data }: Tensor): Uint8Array {
  if (ArrayBuffer.isView(data))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const parts: Buffer[] = [];
  for (const text of data) {
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32LE(Buffer.byteLength(text));
    parts.push(length, Buffer.from(text));
  }
  return Buffer.concat(parts);
}
