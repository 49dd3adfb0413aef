import * as onnx from "./graph.ts";
import type { Node } from "./graph.ts";
import { growthOf, type Patch } from "./patch.ts";
import { bytesField, headOf, textField, varintField, type Field, type Source } from "./wire.ts";

/**
 * ZipMap ends most classifiers that scikit-learn's converter writes: it makes a sequence of maps of a tensor of
 * probabilities, which the runtime's binding for Node.js cannot return. The classes move out of the graph, the tensor
 * takes the sequence's place.
 */
export interface ZipMap {
  readonly node: Node;
  readonly output: string;
  readonly labels: readonly string[];
}

const FLOAT = 1;

/** @returns undefined for any other node */
export function readZipMap(source: Source, node: Node): ZipMap | undefined {
  const [output] = node.outputs;
  if (node.opType !== "ZipMap" || output === undefined) return undefined;
  const labels = [
    ...onnx.attributeTexts(source, node, "classlabels_strings"),
    ...onnx.attributeTexts(source, node, "classlabels_int64s"),
  ];
  return labels.length === 0 ? undefined : { node, output, labels };
}

export interface GraphFields {
  readonly graph: Field;
  /** Inputs, outputs and values that the graph declares. */
  readonly inputs: readonly Field[];
  readonly outputs: readonly Field[];
  readonly values: readonly Field[];
}

/** Makes each ZipMap the identity, and its output a tensor of one column a class. */
export function patchZipMaps(
  source: Source,
  fields: GraphFields,
  zipMaps: readonly ZipMap[],
): readonly Patch[] {
  if (zipMaps.length === 0) return [];
  const byOutput = new Map(zipMaps.map((zipMap) => [zipMap.output, zipMap]));
  const [input] = fields.inputs;
  const rows = input === undefined ? new Uint8Array(0) : onnx.firstDimOf(source, input);
  const patches: Patch[] = zipMaps.map(({ node }) => replace(node.field, identityOf(node)));
  for (const field of [...fields.outputs, ...fields.values]) {
    const zipMap = byOutput.get(onnx.nameOf(source, field));
    if (zipMap === undefined) continue;
    patches.push(replace(field, tensorOf(field.number, zipMap, rows)));
  }
  patches.sort((a, b) => a.from - b.from);
  const { graph } = fields;
  const length = graph.to - graph.from + growthOf(patches);
  const head = { from: graph.start, to: graph.from, bytes: headOf(onnx.model.graph, length) };
  return [head, ...patches];
}

function replace({ start, to }: Field, bytes: Uint8Array): Patch {
  return { from: start, to, bytes };
}

function identityOf({ inputs, outputs }: Node): Buffer {
  return bytesField(
    onnx.graph.node,
    ...inputs.map((name) => textField(onnx.node.input, name)),
    ...outputs.map((name) => textField(onnx.node.output, name)),
    textField(onnx.node.opType, "Identity"),
  );
}

function tensorOf(number: number, { output, labels }: ZipMap, rows: Uint8Array): Buffer {
  const shape = bytesField(
    onnx.tensorType.shape,
    bytesField(onnx.shape.dim, rows),
    bytesField(onnx.shape.dim, varintField(1, labels.length)),
  );
  const tensor = bytesField(
    onnx.type.tensor,
    varintField(onnx.tensorType.elementType, FLOAT),
    shape,
  );
  return bytesField(
    number,
    textField(onnx.valueInfo.name, output),
    bytesField(onnx.valueInfo.type, tensor),
  );
}
