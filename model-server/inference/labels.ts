import type { Bundle } from "../bundle/bundle.ts";
import { describeDims, type OutputPort, type OutputRows } from "../engine/signature.ts";
import { invalidBundle, type ServerError } from "../errors.ts";
import { elementsOf, type Tensor } from "../tensor/tensor.ts";

/** Names of classes, and the values that they name. */
export type Labels = readonly string[];

/**
 * The output's labels, where they may fit what the model declares. They also show whether an output of unknown rows is one
 * answer: as many labels as it has values name all of them.
 * @throws BUNDLE_INVALID where those of labels.txt do not fit; those of the model are left out then
 */
export function fitLabels(
  output: OutputPort,
  { labels: given, model }: Bundle,
): { readonly labels: Labels | undefined; readonly rows: OutputRows } {
  const { dims, rows } = output;
  const labels = given ?? model.labels.get(output.name);
  const ofAll = sizeOf(dims);
  // A vector of free length may be a value a row, or a class a value.
  const isOpen = rows === "perhaps" && dims.length === 1 && ofAll === undefined;
  const ofRow = isOpen ? undefined : sizeOf(dims.slice(1));
  const classes = rows === "none" ? ofAll : ofRow;
  if (labels === undefined || classes === undefined || labels.length === classes)
    return { labels, rows };
  if (rows === "perhaps" && labels.length === ofAll) return { labels, rows: "none" };
  if (nameClasses(labels, classes)) return { labels, rows };
  if (given !== undefined) throw wrongLabels(labels, classes);
  return { labels: undefined, rows };
}

/**
 * The labels, where they fit what a run gave for one row.
 * @param declared the output as it was before the run
 * @throws BUNDLE_INVALID where those of labels.txt do not fit; those of the model are left out then
 */
export function fitLabelsToRun(
  labels: Labels | undefined,
  { dims, data }: Tensor,
  declared: OutputPort,
  rows: OutputRows,
  { labels: given }: Bundle,
): Labels | undefined {
  if (labels === undefined || nameClasses(labels, data.length)) return labels;
  if (given === undefined) return undefined;
  if (rows === declared.rows) throw wrongLabels(labels, data.length);
  throw invalidBundle(
    `labels.txt has ${labels.length} lines, but the output ${declared.name} gives no row of classes for a row of input: in the first run its shape is ${describeDims(dims)}. Remove labels.txt, or name the output of the classes in postprocessing.json`,
  );
}

/** @throws BUNDLE_INVALID */
export function checkLabels(labels: Labels, classes: number): void {
  if (!nameClasses(labels, classes)) throw wrongLabels(labels, classes);
}

/** One value may be the probability of the second of two classes. */
function nameClasses(labels: Labels, classes: number): boolean {
  return labels.length === classes || isBinary(labels, classes);
}

export function isBinary(labels: Labels, classes: number): boolean {
  return labels.length === 2 && classes === 1;
}

function wrongLabels(labels: Labels, classes: number): ServerError {
  return invalidBundle(`labels.txt has ${labels.length} lines, the model ${classes} classes`);
}

/** The elements of a shape; undefined where a dimension is free. */
function sizeOf(dims: OutputPort["dims"]): number | undefined {
  const known = dims.filter((dim) => dim !== undefined);
  return known.length === dims.length ? elementsOf(known) : undefined;
}
