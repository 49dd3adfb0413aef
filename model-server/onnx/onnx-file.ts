import { closeSync, fstatSync, openSync } from "node:fs";

import * as onnx from "./graph.ts";
import type { Patch } from "./patch.ts";
import { fieldsOf, fileSource, MalformedError, type Field, type Source } from "./wire.ts";
import { patchZipMaps, readZipMap, type GraphFields, type ZipMap } from "./zip-map.ts";

/** What a model file says beside what the runtime reports of it. */
export interface OnnxFile {
  readonly file: string;
  /** What the runtime must see instead of the file's own bytes. */
  readonly patches: readonly Patch[];
  /** Files beside it that hold its weights. */
  readonly external: readonly string[];
  /** The classes of an output, where the model names them. */
  readonly labels: ReadonlyMap<string, readonly string[]>;
  /** The operator that makes each output: what only copies or reshapes is passed over. */
  readonly producers: ReadonlyMap<string, string>;
}

/**
 * Reads a model's structure, without its weights.
 * @returns of a file that is no ONNX its name only: the runtime says better what is wrong with it
 */
export function readOnnxFile(file: string): OnnxFile {
  const descriptor = openSync(file, "r");
  try {
    const source = fileSource(descriptor, fstatSync(descriptor).size);
    return { file, ...readModel(source) };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return { file, patches: [], external: [], labels: new Map(), producers: new Map() };
  } finally {
    closeSync(descriptor);
  }
}

function readModel(source: Source): Omit<OnnxFile, "file"> {
  const whole = { from: 0, to: source.size };
  const graph = onnx.child(source, whole, onnx.model.graph);
  if (graph === undefined) throw new MalformedError("the file has no graph");
  return readGraph(source, graph);
}

function readGraph(source: Source, graph: Field): Omit<OnnxFile, "file"> {
  const inputs: Field[] = [];
  const outputs: Field[] = [];
  const values: Field[] = [];
  const zipMaps: ZipMap[] = [];
  const external = new Set<string>();
  const makers = new Map<string, Maker>();
  for (const field of fieldsOf(source, graph.from, graph.to)) {
    switch (field.number) {
      case onnx.graph.node: {
        const node = onnx.readNode(source, field);
        const zipMap = readZipMap(source, node);
        if (zipMap !== undefined) zipMaps.push(zipMap);
        const maker = { opType: node.opType, input: node.inputs[0] ?? "" };
        for (const name of node.outputs) makers.set(name, maker);
        break;
      }
      case onnx.graph.initializer: {
        const path = onnx.externalFileOf(source, field);
        if (path !== undefined) external.add(path);
        break;
      }
      case onnx.graph.input:
        inputs.push(field);
        break;
      case onnx.graph.output:
        outputs.push(field);
        break;
      case onnx.graph.valueInfo:
        values.push(field);
        break;
      default:
    }
  }
  const fields: GraphFields = { graph, inputs, outputs, values };
  const names = outputs.map((field) => onnx.nameOf(source, field));
  return {
    patches: patchZipMaps(source, fields, zipMaps),
    external: [...external],
    labels: new Map(zipMaps.map(({ output, labels }) => [output, labels])),
    producers: new Map(names.map((name) => [name, producerOf(name, makers)])),
  };
}

interface Maker {
  readonly opType: string;
  /** Its first input. */
  readonly input: string;
}

/** What gives its input's values on, in another shape or type. */
const PASSES_ON = new Set(["Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze"]);
const MAX_STEPS = 100;

function producerOf(name: string, makers: ReadonlyMap<string, Maker>): string {
  let maker = makers.get(name);
  for (let step = 0; step < MAX_STEPS && maker !== undefined; step += 1) {
    if (!PASSES_ON.has(maker.opType)) break;
    maker = makers.get(maker.input) ?? maker;
  }
  return maker?.opType ?? "";
}
