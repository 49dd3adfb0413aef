import { readSync } from "node:fs";

/** Bytes that are read piece by piece: a model may be larger than memory. */
export interface Source {
  readonly size: number;
  readonly byteAt: (at: number) => number;
  readonly slice: (from: number, to: number) => Uint8Array;
}

/** A field of a protobuf message (https://protobuf.dev/programming-guides/encoding/). */
export interface Field {
  readonly number: number;
  readonly wire: number;
  /** Where its tag begins. */
  readonly start: number;
  /** Its value without tag and length: from here to there. */
  readonly from: number;
  readonly to: number;
  /** Of a varint; 0 of other types. */
  readonly value: bigint;
}

/** The bytes are not the protobuf message that was expected. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
}

const WINDOW_BYTES = 64 * 1024;

/** Reads a file through a window, so that what is skipped is not read. */
export function fileSource(descriptor: number, size: number): Source {
  let start = 0;
  let bytes: Uint8Array = new Uint8Array(0);

  function read(from: number, to: number): Uint8Array {
    const buffer = Buffer.alloc(to - from);
    const count = readSync(descriptor, buffer, 0, buffer.length, from);
    if (count !== buffer.length) throw new MalformedError("the file ends too early");
    return buffer;
  }

  return {
    size,
    byteAt: (at) => {
      if (at < start || at >= start + bytes.length) {
        bytes = read(at, Math.min(size, at + WINDOW_BYTES));
        start = at;
      }
      return bytes[at - start] ?? 0;
    },
    slice: read,
  };
}

const VARINT = 0;
const FIXED64 = 1;
export const BYTES = 2;
const FIXED32 = 5;
const MAX_VARINT_BYTES = 10;

/** The fields of the message from `from` to `to`; what a field holds is skipped. @throws MalformedError */
export function* fieldsOf(source: Source, from: number, to: number): Generator<Field> {
  let at = from;
  while (at < to) {
    const start = at;
    const [tag, afterTag] = readVarint(source, at, to);
    const number = Number(tag >> 3n);
    const wire = Number(tag & 7n);
    let value = 0n;
    let valueFrom = afterTag;
    let end = afterTag;
    switch (wire) {
      case VARINT:
        [value, end] = readVarint(source, afterTag, to);
        break;
      case FIXED64:
        end = afterTag + 8;
        break;
      case FIXED32:
        end = afterTag + 4;
        break;
      case BYTES: {
        const [length, afterLength] = readVarint(source, afterTag, to);
        valueFrom = afterLength;
        end = afterLength + Number(length);
        break;
      }
      default:
        throw new MalformedError(`the wire type ${wire} is not known`);
    }
    if (number === 0 || end > to) throw new MalformedError("a field ends after its message");
    yield { number, wire, start, from: valueFrom, to: end, value };
    at = end;
  }
}

/** A varint, and where it ends. */
export function readVarint(source: Source, at: number, to: number): readonly [bigint, number] {
  let value = 0n;
  let low = 0;
  for (let index = 0; index < MAX_VARINT_BYTES; index += 1) {
    if (at + index >= to) break;
    const byte = source.byteAt(at + index);
    // Most are small: BigInt is slow.
    if (index < 4) low |= (byte & 0x7f) << (7 * index);
    else value |= BigInt(byte & 0x7f) << BigInt(7 * index);
    if (byte < 0x80) return [value | BigInt(low), at + index + 1];
  }
  throw new MalformedError("a varint does not end");
}

export function textOf(source: Source, { from, to }: Field): string {
  return Buffer.from(source.slice(from, to)).toString("utf8");
}

function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value);
  do {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? byte : byte | 0x80);
  } while (rest !== 0n);
  return Buffer.from(bytes);
}

/** Tag and length of a field whose value has so many bytes. */
export function headOf(number: number, length: number): Buffer {
  return Buffer.concat([varint((number << 3) | BYTES), varint(length)]);
}

export function bytesField(number: number, ...parts: readonly Uint8Array[]): Buffer {
  const value = Buffer.concat(parts);
  return Buffer.concat([headOf(number, value.length), value]);
}

export function textField(number: number, text: string): Buffer {
  return bytesField(number, Buffer.from(text));
}

export function varintField(number: number, value: number): Buffer {
  return Buffer.concat([varint((number << 3) | VARINT), varint(value)]);
}
