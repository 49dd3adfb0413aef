import { invalidRequest } from "../errors.ts";
import {
  arrays,
  createTensor,
  type Datatype,
  type Tensor,
  type TensorData,
} from "../tensor/tensor.ts";
import { encodeHalf, MAX_HALF } from "../tensor/half.ts";

/** Nested arrays of JSON, flat: leaves are the innermost arrays, in order. */
interface Flat {
  readonly dims: readonly number[];
  readonly leaves: readonly (readonly unknown[])[];
}

export const MAX_RANK = 8;

/** Nested arrays of JSON as one tensor, row-major. @throws REQUEST_INVALID when ragged, or an element does not fit */
export function tensorOfNested(
  value: readonly unknown[],
  datatype: Datatype,
  what: string,
): Tensor {
  const { dims, leaves } = flatten(value, what);
  return createTensor(datatype, dims, dataOf(leaves, datatype, what));
}

/** @param what names the value in messages */
export function flatten(value: readonly unknown[], what: string): Flat {
  const dims: number[] = [];
  for (let level: unknown = value; Array.isArray(level); level = level[0]) {
    dims.push(level.length);
    if (dims.length > MAX_RANK)
      throw invalidRequest(`${what} is nested deeper than ${MAX_RANK} levels`);
  }
  const leaves: (readonly unknown[])[] = [];
  function collect(part: unknown, level: number): void {
    if (!Array.isArray(part) || part.length !== dims[level])
      throw invalidRequest(
        `${what} is ragged: every row needs the same shape, here [${dims.join(", ")}]`,
      );
    if (level + 1 === dims.length) leaves.push(part);
    else for (const one of part) collect(one, level + 1);
  }
  collect(value, 0);
  return { dims, leaves };
}

/** The elements as the datatype holds them. */
export function dataOf(
  leaves: readonly (readonly unknown[])[],
  datatype: Datatype,
  what: string,
): TensorData {
  // Only now is the shape known to be more than what the first row claims, and worth its memory.
  let count = 0;
  for (const leaf of leaves) count += leaf.length;
  switch (datatype) {
    case "BYTES":
      return leaves.flatMap((leaf) => leaf.map((value) => textOf(value, what)));
    case "INT64":
    case "UINT64":
      return fillBig(new arrays[datatype](count), leaves, datatype, what);
    case "FP16":
      return fill(new Uint16Array(count), leaves, (value) => halfOf(value, what));
    case "FP32":
      return fill(new Float32Array(count), leaves, (value) =>
        floatOf(value, Math.fround, "float32", what),
      );
    case "FP64":
      return fill(new Float64Array(count), leaves, (value) =>
        floatOf(value, Number, "float64", what),
      );
    case "BOOL":
      return fill(new Uint8Array(count), leaves, (value) => truthOf(value, what));
    case "UINT8":
    case "UINT16":
    case "UINT32":
    case "INT8":
    case "INT16":
    case "INT32":
      return fill(new arrays[datatype](count), leaves, (value) => integerOf(value, datatype, what));
  }
}

function fill<A extends Record<number, number>>(
  data: A,
  leaves: readonly (readonly unknown[])[],
  convert: (value: unknown) => number,
): A {
  let at = 0;
  for (const leaf of leaves) {
    for (const value of leaf) {
      data[at] = convert(value);
      at += 1;
    }
  }
  return data;
}

function fillBig(
  data: BigInt64Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>,
  leaves: readonly (readonly unknown[])[],
  datatype: "INT64" | "UINT64",
  what: string,
): TensorData {
  let at = 0;
  for (const leaf of leaves) {
    for (const value of leaf) {
      data[at] = bigOf(value, datatype, what);
      at += 1;
    }
  }
  return data;
}

/** JSON has no NaN and no infinities: text stands for them. */
const NOT_FINITE: ReadonlyMap<unknown, number> = new Map([
  ["NaN", NaN],
  ["Infinity", Infinity],
  ["-Infinity", -Infinity],
]);

function floatOf(
  value: unknown,
  round: (value: number) => number,
  type: string,
  what: string,
): number {
  if (typeof value !== "number") {
    // A reader that keeps all digits gives large integers so.
    if (typeof value === "bigint") return floatOf(Number(value), round, type, what);
    const special = NOT_FINITE.get(value);
    if (special !== undefined) return special;
    throw invalidRequest(`${what} holds ${describe(value)} where a number should be`);
  }
  // The model would answer with what is no number.
  if (!Number.isFinite(round(value)))
    throw invalidRequest(`${what} holds ${value}, which is beyond ${type}`);
  return value;
}

function halfOf(value: unknown, what: string): number {
  return encodeHalf(
    floatOf(value, (number) => (Math.abs(number) < MAX_HALF ? number : Infinity), "float16", what),
  );
}

function truthOf(value: unknown, what: string): number {
  if (value === true || value === 1) return 1;
  if (value === false || value === 0) return 0;
  throw invalidRequest(`${what} holds ${describe(value)} where true or false should be`);
}

const ranges = {
  UINT8: [0, 2 ** 8 - 1],
  UINT16: [0, 2 ** 16 - 1],
  UINT32: [0, 2 ** 32 - 1],
  INT8: [-(2 ** 7), 2 ** 7 - 1],
  INT16: [-(2 ** 15), 2 ** 15 - 1],
  INT32: [-(2 ** 31), 2 ** 31 - 1],
} as const;

function integerOf(value: unknown, datatype: keyof typeof ranges, what: string): number {
  const [least, most] = ranges[datatype];
  if (typeof value === "bigint")
    throw invalidRequest(`${what} holds ${value}, which is no ${datatype}`);
  if (typeof value !== "number")
    throw invalidRequest(`${what} holds ${describe(value)} where a number should be`);
  if (!Number.isInteger(value) || value < least || value > most)
    throw invalidRequest(`${what} holds ${value}, which is no ${datatype}`);
  return value;
}

const INTEGER = /^-?\d{1,20}$/;

/** Beyond 2^53 JSON's numbers lose digits in most readers, so that text is taken as well. */
function bigOf(value: unknown, datatype: "INT64" | "UINT64", what: string): bigint {
  const isText = typeof value === "string" && INTEGER.test(value);
  if (typeof value !== "number" && typeof value !== "bigint" && !isText)
    throw invalidRequest(`${what} holds ${describe(value)} where a whole number should be`);
  if (typeof value === "number" && !Number.isInteger(value))
    throw invalidRequest(`${what} holds ${value}, which is no whole number`);
  if (typeof value === "number" && !Number.isSafeInteger(value))
    throw invalidRequest(
      `${what} holds ${value}, whose digits may not be exact: send all digits as text, "9007199254740993"`,
    );
  const big = BigInt(value);
  const wrapped = datatype === "INT64" ? BigInt.asIntN(64, big) : BigInt.asUintN(64, big);
  if (wrapped !== big) throw invalidRequest(`${what} holds ${value}, which is no ${datatype}`);
  return big;
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== "string")
    throw invalidRequest(`${what} holds ${describe(value)} where text should be`);
  // The runtime would cut it there.
  if (value.includes("\0")) throw invalidRequest(`${what} holds text with the character NUL`);
  // UTF-8 has no half of a pair: the runtime would get another character.
  if (!value.isWellFormed())
    throw invalidRequest(
      `${what} holds text with a lone surrogate, such as "\\ud800": send both halves of the pair, or neither`,
    );
  return value;
}

function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "bigint") return `${value}`;
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
