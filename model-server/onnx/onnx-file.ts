import { closeSync, fstatSync, openSync } from "node:fs";

import * as onnx from "./graph.ts";
import type { Patch } from "./patch.ts";
import { fieldsOf, fileSource, MalformedError, type Field, type Source } from "./wire.ts";
import { patchZipMaps, readZipMap, type GraphFields, type ZipMap } from "./zip-map.ts";

/** What a model file says beside what the runtime reports of it. */
export interface OnnxFile {
  readonly file: string;
  /** Its size, without files beside it. */
  readonly bytes: number;
  /** What the runtime must see instead of the file's own bytes. */
  readonly patches: readonly Patch[];
  /** Files beside it that hold its weights. */
  readonly external: readonly string[];
  /** The classes of an output, where the model names them. */
  readonly labels: ReadonlyMap<string, readonly string[]>;
  /** The operator that makes each output: what only copies or reshapes is passed over. */
  readonly producers: ReadonlyMap<string, string>;
  /** What a run takes follows from the shapes of its inputs: nothing of the model loops over what it computes. */
  readonly isTimedByShapes: boolean;
}

/**
 * Reads a model's structure, without its weights.
 * @returns of a file that is no ONNX its name only: the runtime says better what is wrong with it
 */
export function readOnnxFile(file: string): OnnxFile {
  const descriptor = openSync(file, "r");
  try {
    const { size: bytes } = fstatSync(descriptor);
    return { file, bytes, ...readModel(fileSource(descriptor, bytes)) };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return {
      file,
      bytes: 0,
      patches: [],
      external: [],
      labels: new Map(),
      producers: new Map(),
      isTimedByShapes: false,
    };
  } finally {
    closeSync(descriptor);
  }
}

type Structure = Omit<OnnxFile, "file" | "bytes">;

/** Operators that run others, as often as values say. Of those of other domains nothing is known. */
const CONTROL_FLOW = new Set(["If", "Loop", "Scan"]);
const STANDARD = new Set(["", "ai.onnx", "ai.onnx.ml"]);

function readModel(source: Source): Structure {
  const whole = { from: 0, to: source.size };
  const graph = onnx.child(source, whole, onnx.model.graph);
  if (graph === undefined) throw new MalformedError("the file has no graph");
  const hasFunctions = onnx.child(source, whole, onnx.model.functions) !== undefined;
  const structure = readGraph(source, graph);
  return { ...structure, isTimedByShapes: structure.isTimedByShapes && !hasFunctions };
}

function readGraph(source: Source, graph: Field): Structure {
  const inputs: Field[] = [];
  const outputs: Field[] = [];
  const values: Field[] = [];
  const zipMaps: ZipMap[] = [];
  const external = new Set<string>();
  const makers = new Map<string, Maker>();
  let isTimedByShapes = true;
  for (const field of fieldsOf(source, graph.from, graph.to)) {
    switch (field.number) {
      case onnx.graph.node: {
        const node = onnx.readNode(source, field);
        const zipMap = readZipMap(source, node);
        if (zipMap !== undefined) zipMaps.push(zipMap);
        if (CONTROL_FLOW.has(node.opType) || !STANDARD.has(node.domain)) isTimedByShapes = false;
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
    isTimedByShapes,
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
