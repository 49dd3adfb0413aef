import { buildModel, type ModelSpec } from "../../model-server/onnx/build.testing.ts";

export const types = {
  bool: "BOOL",
  uint8: "UINT8",
  uint16: "UINT16",
  uint32: "UINT32",
  uint64: "UINT64",
  int8: "INT8",
  int16: "INT16",
  int32: "INT32",
  int64: "INT64",
  half: "FP16",
  float: "FP32",
  double: "FP64",
  string: "BYTES",
} as const;
type Type = keyof typeof types;

export const names = Object.keys(types) as readonly Type[];

/** What `same` of `every_datatype.py` gives where each tensor came back as it was sent. */
export function allSame(of: readonly Type[] = names): Readonly<Record<string, true>> {
  return Object.fromEntries(of.map((name) => [name, true]));
}

/** A model that gives back an input of each of these datatypes. */
export function identityOf(of: readonly Type[] = names): Buffer {
  const port = (side: "in" | "out") => (type: Type) =>
    ({ name: `${side}_${type}`, type, dims: ["N", 2] }) satisfies ModelSpec["inputs"][number];
  return buildModel({
    nodes: of.map((type) => ({
      op: "Identity",
      inputs: [`in_${type}`],
      outputs: [`out_${type}`],
    })),
    inputs: of.map(port("in")),
    outputs: of.map(port("out")),
  });
}
