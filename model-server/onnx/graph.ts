import { BYTES, fieldsOf, readVarint, textOf, type Field, type Source } from "./wire.ts";

/** Numbers of the fields that are read, as in onnx.proto. */
export const model = { graph: 7, functions: 25 } as const;
export const graph = { node: 1, initializer: 5, input: 11, output: 12, valueInfo: 13 } as const;
export const node = { input: 1, output: 2, name: 3, opType: 4, attribute: 5, domain: 7 } as const;
const attribute = { name: 1, ints: 8, strings: 9 } as const;
export const valueInfo = { name: 1, type: 2 } as const;
export const type = { tensor: 1 } as const;
export const tensorType = { elementType: 1, shape: 2 } as const;
export const shape = { dim: 1 } as const;
const tensor = { externalData: 13 } as const;
const entry = { key: 1, value: 2 } as const;

/** A node, without what its attributes hold: that may be hundreds of megabytes. */
export interface Node {
  readonly field: Field;
  readonly opType: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly Field[];
}

export function readNode(source: Source, field: Field): Node {
  let opType = "";
  let domain = "";
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: Field[] = [];
  for (const part of fieldsOf(source, field.from, field.to)) {
    if (part.number === node.input) inputs.push(textOf(source, part));
    else if (part.number === node.output) outputs.push(textOf(source, part));
    else if (part.number === node.opType) opType = textOf(source, part);
    else if (part.number === node.domain) domain = textOf(source, part);
    else if (part.number === node.attribute) attributes.push(part);
  }
  return { field, opType, domain, inputs, outputs, attributes };
}

/** The attribute of this name: its texts or integers, as texts. */
export function attributeTexts(source: Source, { attributes }: Node, name: string): string[] {
  for (const { from, to } of attributes) {
    const parts = [...fieldsOf(source, from, to)];
    const named = parts.find(({ number }) => number === attribute.name);
    if (named === undefined || textOf(source, named) !== name) continue;
    return parts.flatMap((part) => {
      if (part.number === attribute.strings) return [textOf(source, part)];
      return part.number === attribute.ints ? integersOf(source, part) : [];
    });
  }
  return [];
}

function integersOf(source: Source, field: Field): string[] {
  const text = (value: bigint): string => String(BigInt.asIntN(64, value));
  if (field.wire !== BYTES) return [text(field.value)];
  const texts: string[] = [];
  for (let at = field.from; at < field.to;) {
    const [value, end] = readVarint(source, at, field.to);
    texts.push(text(value));
    at = end;
  }
  return texts;
}

/** The name of a graph's input, output or value. */
export function nameOf(source: Source, field: Field): string {
  const name = child(source, field, valueInfo.name);
  return name === undefined ? "" : textOf(source, name);
}

/** The bytes of the first dimension that a graph's input declares. */
export function firstDimOf(source: Source, field: Field): Uint8Array {
  let at: Field | undefined = field;
  for (const number of [valueInfo.type, type.tensor, tensorType.shape, shape.dim]) {
    at = at === undefined ? undefined : child(source, at, number);
  }
  return at === undefined ? new Uint8Array(0) : source.slice(at.from, at.to);
}

/** The file that holds a tensor's data; undefined where the model itself does. */
export function externalFileOf(source: Source, field: Field): string | undefined {
  for (const part of fieldsOf(source, field.from, field.to)) {
    if (part.number !== tensor.externalData) continue;
    const key = child(source, part, entry.key);
    const value = child(source, part, entry.value);
    if (key !== undefined && value !== undefined && textOf(source, key) === "location")
      return textOf(source, value);
  }
  return undefined;
}

/** The first field of this number. */
export function child(
  source: Source,
  { from, to }: Pick<Field, "from" | "to">,
  number: number,
): Field | undefined {
  for (const part of fieldsOf(source, from, to)) if (part.number === number) return part;
  return undefined;
}
