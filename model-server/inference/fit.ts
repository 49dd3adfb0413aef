import type { Bundle } from "../bundle/bundle.ts";
import type { Preprocessing } from "../bundle/preprocessing.ts";
import { describeDims, type Port, type Signature } from "../engine/signature.ts";
import { ServerError } from "../errors.ts";
import { shapeOf } from "../images/image.ts";
import { elementsOf } from "../tensor/tensor.ts";

/** How `POST /score` reads this model. */
export interface Scoring {
  readonly input: Port;
  readonly output: Port;
  readonly labels: readonly string[] | undefined;
  readonly preprocessing: Preprocessing | undefined;
}

function invalid(message: string): ServerError {
  return new ServerError("BUNDLE_INVALID", message);
}

/**
 * Checks that labels, preprocessing and model fit each other.
 * @returns why `POST /score` cannot serve the model, where the Open Inference Protocol still can
 * @throws BUNDLE_INVALID
 */
export function fitScoring(signature: Signature, bundle: Bundle): Scoring | string {
  const { labels, preprocessing } = bundle;
  const { inputs } = signature;
  const input = inputOf(inputs, preprocessing);
  const output = outputOf(signature.outputs);
  if (input === undefined || output === undefined) return "the model has no inputs";
  checkLabels(output, labels);
  if (preprocessing !== undefined) checkImages(input, preprocessing);
  return inputs.length === 1
    ? { input, output, labels, preprocessing }
    : `the model has ${inputs.length} inputs (${inputs.map(({ name }) => name).join(", ")}): POST /score serves models of one`;
}

function inputOf(
  inputs: readonly Port[],
  preprocessing: Preprocessing | undefined,
): Port | undefined {
  const name = preprocessing?.input;
  if (name === undefined) return inputs[0];
  const input = inputs.find((port) => port.name === name);
  if (input !== undefined) return input;
  const known = inputs.map((port) => port.name).join(", ");
  throw invalid(`preprocessing.json names the input ${name}; the model has ${known}`);
}

/** The first output of floating-point numbers: classifiers of scikit-learn give their label first. */
function outputOf(outputs: readonly Port[]): Port | undefined {
  return outputs.find(({ datatype }) => datatype.startsWith("FP")) ?? outputs[0];
}

/** The number of classes: all dimensions but the rows, where the model declares them. */
function classesOf({ dims }: Port): number | undefined {
  const rest = dims.slice(1);
  const known = rest.filter((dim) => dim !== undefined);
  return known.length === rest.length ? elementsOf(known) : undefined;
}

function checkLabels(output: Port, labels: readonly string[] | undefined): void {
  const classes = classesOf(output);
  if (labels === undefined || classes === undefined || labels.length === classes) return;
  throw invalid(`labels.txt has ${labels.length} lines, the model ${classes} classes`);
}

function checkImages(input: Port, preprocessing: Preprocessing): void {
  if (input.datatype !== "FP32")
    throw invalid(
      `preprocessing.json makes images FP32, the model's input ${input.name} is ${input.datatype}: export it with float32, or remove preprocessing.json`,
    );
  const shape = shapeOf(preprocessing);
  const fits =
    input.dims.length === shape.length + 1 &&
    shape.every((dim, axis) => (input.dims[axis + 1] ?? dim) === dim);
  if (!fits)
    throw invalid(
      `preprocessing.json makes images of shape [${shape.join(", ")}], the model takes ${describeDims(input.dims)}`,
    );
}
