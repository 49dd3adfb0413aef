import type { Bundle } from "../bundle/bundle.ts";
import type { Activation } from "../bundle/postprocessing.ts";
import type { Preprocessing } from "../bundle/preprocessing.ts";
import type { Batch, OutputPort, Port, Signature } from "../engine/signature.ts";
import { invalidBundle } from "../errors.ts";
import { numbersOf } from "../tensor/numbers.ts";
import { sliceRows } from "../tensor/rows.ts";
import type { Tensors } from "../tensor/tensor.ts";
import { activationOf, guessActivation } from "./activation.ts";
import { checkImages, isOneImage } from "./image-input.ts";
import { fitLabels, fitLabelsToRun } from "./labels.ts";

/** How `POST /score` reads this model. */
export interface Scoring {
  readonly inputs: readonly Port[];
  /** Takes what has no name: the only input, or that of images. */
  readonly input: Port;
  readonly output: OutputPort;
  /** Of tensors: that of the signature, unless images show that the first dimension is theirs. */
  readonly batch: Batch;
  readonly labels: readonly string[] | undefined;
  /** Undefined where only the values themselves can say. */
  readonly activation: Activation | undefined;
  readonly preprocessing: Preprocessing | undefined;
}

/** Checks that labels, preprocessing, postprocessing and model fit each other. @throws BUNDLE_INVALID */
export function fitScoring(signature: Signature, bundle: Bundle): Scoring {
  const { preprocessing, postprocessing, model } = bundle;
  const { inputs } = signature;
  const input = inputOf(inputs, preprocessing);
  const declared = outputOf(signature.outputs, postprocessing?.output);
  const isWhole = preprocessing !== undefined && isOneImage(input, preprocessing);
  const { labels, rows } = fitLabels(isWhole ? { ...declared, rows: "none" } : declared, bundle);
  const output = { ...declared, rows };
  if (preprocessing !== undefined) checkImages(input, output, preprocessing);
  const activation =
    postprocessing?.activation ?? activationOf(model.producers.get(output.name) ?? "");
  const batch: Batch = isWhole ? { kind: "none" } : signature.batch;
  return { inputs, input, output, batch, labels, activation, preprocessing };
}

/**
 * Adds what the warm-up showed: whether the output has a row for each row of the inputs, how many classes there are, and
 * whether they are probabilities.
 * @throws BUNDLE_INVALID
 */
export function observeScoring(
  scoring: Scoring,
  outputs: Tensors | undefined,
  bundle: Bundle,
): Scoring {
  const { inputs, input, activation, preprocessing } = scoring;
  const tensor = outputs?.get(scoring.output.name);
  if (tensor === undefined) return scoring;
  const fed = inputs.find(({ dims }) => dims.length > 0)?.dims[0] ?? 1;
  const rows = tensor.dims[0] === fed ? scoring.output.rows : "none";
  const output = { ...scoring.output, rows };
  if (preprocessing !== undefined) checkImages(input, output, preprocessing);
  const one = rows === "none" ? tensor : sliceRows(tensor, 0, 1);
  const labels = fitLabelsToRun(scoring.labels, one, scoring.output, rows, bundle);
  const values = numbersOf(one);
  if (activation !== undefined || values === undefined || labels === undefined)
    return { ...scoring, output, labels };
  return { ...scoring, output, labels, activation: guessActivation(values) };
}

function inputOf(inputs: readonly Port[], preprocessing: Preprocessing | undefined): Port {
  const [first] = inputs;
  if (first === undefined)
    throw invalidBundle("the model has no inputs: there is nothing to score");
  const name = preprocessing?.input;
  if (name === undefined) return first;
  const input = inputs.find((port) => port.name === name);
  if (input !== undefined) return input;
  throw invalidBundle(
    `preprocessing.json names the input ${name}; the model has ${namesOf(inputs)}`,
  );
}

/** The first output of floating-point numbers: classifiers of scikit-learn give their label first. */
function outputOf(outputs: readonly OutputPort[], name: string | undefined): OutputPort {
  if (name === undefined) {
    const output = outputs.find(({ datatype }) => datatype.startsWith("FP")) ?? outputs[0];
    if (output === undefined)
      throw invalidBundle("the model has no outputs: there is nothing to score");
    return output;
  }
  const output = outputs.find((port) => port.name === name);
  if (output !== undefined) return output;
  throw invalidBundle(
    `postprocessing.json names the output ${name}; the model has ${namesOf(outputs)}`,
  );
}

function namesOf(ports: readonly Port[]): string {
  return ports.map(({ name }) => name).join(", ");
}
