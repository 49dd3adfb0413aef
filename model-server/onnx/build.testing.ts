import type { OnnxFile } from "./onnx-file.ts";
import { bytesField, textField, varintField } from "./wire.ts";

/** What is read of a file that is no ONNX. */
export function noOnnx(file: string): OnnxFile {
  return {
    file,
    patches: [],
    external: [],
    bytes: 0,
    isTimedByShapes: false,
    labels: new Map(),
    producers: new Map(),
  };
}

/** A small ONNX model, written field by field as onnx.proto says. */
export interface ModelSpec {
  readonly ir?: number;
  /** By domain; that of ai.onnx is "". */
  readonly opsets?: Readonly<Record<string, number>>;
  readonly nodes: readonly NodeSpec[];
  readonly inputs: readonly PortSpec[];
  readonly outputs: readonly PortSpec[];
  readonly weights?: readonly WeightSpec[];
}

interface NodeSpec {
  readonly op: string;
  readonly domain?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly integers?: Readonly<Record<string, readonly number[] | number>>;
  readonly texts?: Readonly<Record<string, readonly string[]>>;
}

interface PortSpec {
  readonly name: string;
  readonly type: keyof typeof types | "map";
  readonly dims: readonly (number | string)[];
}

interface WeightSpec {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: ArrayLike<number>;
  /** The file that holds the data. */
  readonly file?: string;
}

const types = {
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  half: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
} as const;

export function buildModel(spec: ModelSpec): Buffer {
  const opsets = Object.entries(spec.opsets ?? { "": 13 });
  return Buffer.concat([
    varintField(1, spec.ir ?? 8),
    bytesField(
      7,
      ...spec.nodes.map(nodeOf),
      textField(2, "graph"),
      ...(spec.weights ?? []).map(weightOf),
      ...spec.inputs.map((port) => portOf(11, port)),
      ...spec.outputs.map((port) => portOf(12, port)),
    ),
    ...opsets.map(([domain, version]) =>
      bytesField(8, textField(1, domain), varintField(2, version)),
    ),
  ]);
}

function nodeOf({ op, domain, inputs, outputs, integers = {}, texts = {} }: NodeSpec): Buffer {
  return bytesField(
    1,
    ...inputs.map((name) => textField(1, name)),
    ...outputs.map((name) => textField(2, name)),
    textField(4, op),
    ...Object.entries(integers).map(([name, value]) =>
      typeof value === "number"
        ? bytesField(5, textField(1, name), varintField(3, value), varintField(20, 2))
        : bytesField(
            5,
            textField(1, name),
            ...value.map((one) => varintField(8, one)),
            varintField(20, 7),
          ),
    ),
    ...Object.entries(texts).map(([name, values]) =>
      bytesField(
        5,
        textField(1, name),
        ...values.map((one) => textField(9, one)),
        varintField(20, 8),
      ),
    ),
    ...(domain === undefined ? [] : [textField(7, domain)]),
  );
}

function portOf(number: number, { name, type, dims }: PortSpec): Buffer {
  const shape = dims.map((dim) =>
    bytesField(1, typeof dim === "number" ? varintField(1, dim) : textField(2, dim)),
  );
  const tensor = (element: number): Buffer =>
    bytesField(1, varintField(1, element), bytesField(2, ...shape));
  const map = (): Buffer =>
    bytesField(
      4,
      bytesField(
        1,
        bytesField(5, varintField(1, types.string), bytesField(2, tensor(types.float))),
      ),
    );
  return bytesField(
    number,
    textField(1, name),
    bytesField(2, type === "map" ? map() : tensor(types[type])),
  );
}

function weightOf({ name, dims, data, file }: WeightSpec): Buffer {
  const bytes = Buffer.from(Float32Array.from(data).buffer);
  return bytesField(
    5,
    ...dims.map((dim) => varintField(1, dim)),
    varintField(2, types.float),
    textField(8, name),
    ...(file === undefined
      ? [bytesField(9, bytes)]
      : [
          bytesField(13, textField(1, "location"), textField(2, file)),
          bytesField(13, textField(1, "length"), textField(2, String(bytes.length))),
          varintField(14, 1),
        ]),
  );
}
