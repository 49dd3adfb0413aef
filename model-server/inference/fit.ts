import type { Bundle } from "../bundle/bundle.ts";
import type { Activation } from "../bundle/postprocessing.ts";
import type { Preprocessing } from "../bundle/preprocessing.ts";
import { describeDims, type Port, type Signature } from "../engine/signature.ts";
import { ServerError } from "../errors.ts";
import { shapeOf } from "../images/shape.ts";
import { imageDatatypes, isImageDatatype, numbersOf } from "../tensor/numbers.ts";
import { sliceRows } from "../tensor/rows.ts";
import { elementsOf, type Tensors } from "../tensor/tensor.ts";
import { activationOf, guessActivation } from "./activation.ts";

/** How `POST /score` reads this model. */
export interface Scoring {
  readonly inputs: readonly Port[];
  /** Takes what has no name: the only input, or that of images. */
  readonly input: Port;
  readonly output: Port;
  readonly labels: readonly string[] | undefined;
  /** Undefined where only the values themselves can say. */
  readonly activation: Activation | undefined;
  readonly preprocessing: Preprocessing | undefined;
}

function invalid(message: string): ServerError {
  return new ServerError("BUNDLE_INVALID", message);
}

/** Checks that labels, preprocessing, postprocessing and model fit each other. @throws BUNDLE_INVALID */
export function fitScoring(signature: Signature, bundle: Bundle): Scoring {
  const { preprocessing, postprocessing, model } = bundle;
  const { inputs } = signature;
  const input = inputOf(inputs, preprocessing);
  const output = outputOf(signature.outputs, postprocessing?.output);
  const labels = bundle.labels ?? model.labels.get(output.name);
  checkLabels(labels, classesOf(output));
  if (preprocessing !== undefined) checkImages(input, preprocessing);
  const activation =
    postprocessing?.activation ?? activationOf(model.producers.get(output.name) ?? "");
  return { inputs, input, output, labels, activation, preprocessing };
}

/** Adds what the warm-up showed: how many classes there are, and whether they are probabilities. @throws BUNDLE_INVALID */
export function observeScoring(scoring: Scoring, outputs: Tensors | undefined): Scoring {
  const { labels, output, activation } = scoring;
  const tensor = outputs?.get(output.name);
  if (tensor === undefined || (tensor.dims[0] ?? 0) === 0) return scoring;
  const row = sliceRows(tensor, 0, 1);
  checkLabels(labels, row.data.length);
  const values = numbersOf(row);
  if (activation !== undefined || values === undefined || labels === undefined) return scoring;
  return { ...scoring, activation: guessActivation(values) };
}

function inputOf(inputs: readonly Port[], preprocessing: Preprocessing | undefined): Port {
  const [first] = inputs;
  if (first === undefined) throw invalid("the model has no inputs: there is nothing to score");
  const name = preprocessing?.input;
  if (name === undefined) return first;
  const input = inputs.find((port) => port.name === name);
  if (input !== undefined) return input;
  throw invalid(`preprocessing.json names the input ${name}; the model has ${namesOf(inputs)}`);
}

/** The first output of floating-point numbers: classifiers of scikit-learn give their label first. */
function outputOf(outputs: readonly Port[], name: string | undefined): Port {
  if (name === undefined) {
    const output = outputs.find(({ datatype }) => datatype.startsWith("FP")) ?? outputs[0];
    if (output === undefined) throw invalid("the model has no outputs: there is nothing to score");
    return output;
  }
  const output = outputs.find((port) => port.name === name);
  if (output !== undefined) return output;
  throw invalid(`postprocessing.json names the output ${name}; the model has ${namesOf(outputs)}`);
}

function namesOf(ports: readonly Port[]): string {
  return ports.map(({ name }) => name).join(", ");
}

/** The number of classes: all dimensions but the rows, where the model declares them. */
function classesOf({ dims }: Port): number | undefined {
  const rest = dims.slice(1);
  const known = rest.filter((dim) => dim !== undefined);
  return known.length === rest.length ? elementsOf(known) : undefined;
}

/** @throws BUNDLE_INVALID */
export function checkLabels(
  labels: readonly string[] | undefined,
  classes: number | undefined,
): void {
  if (labels === undefined || classes === undefined || labels.length === classes) return;
  throw invalid(`labels.txt has ${labels.length} lines, the model ${classes} classes`);
}

function checkImages(input: Port, preprocessing: Preprocessing): void {
  if (!isImageDatatype(input.datatype))
    throw invalid(
      `preprocessing.json makes images ${imageDatatypes.join(", ")}, the model's input ${input.name} is ${input.datatype}: export it with one of these, or remove preprocessing.json`,
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
