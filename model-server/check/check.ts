import type { CheckEvent, CheckedPort, CheckResult } from "../../crds/check.ts";
import { readBundle, type Bundle } from "../bundle/bundle.ts";
import type { Sample } from "../bundle/samples.ts";
import { readConfig, type Config } from "../config.ts";
import { cores } from "../cores.ts";
import { engineOf } from "../engine/from-config.ts";
import { invalidBundle, messageOf, ServerError } from "../errors.ts";
import { createDecoder } from "../images/decoder.ts";
import { warmModel, type Model } from "../inference/model.ts";
import { checkSample, scoreSample } from "../inference/samples.ts";
import { metadataOf } from "../protocol/description.ts";
import { exampleOf } from "./example.ts";

/** Checks of a bundle without a server: the same steps as a start. */

type Report = (event: CheckEvent) => void;
type Recorded = NonNullable<Extract<CheckEvent, { readonly kind: "sample" }>["recorded"]>;

/** What a pod would do with a bundle before it is ready. @throws what ends a start */
export async function checkBundle(
  folder: string,
  environment: NodeJS.ProcessEnv,
  report: Report,
  signal: AbortSignal,
): Promise<CheckResult> {
  return withModel(folder, environment, report, signal, async (model, bundle) => {
    await eachSample(bundle.samples, report, async (sample) => {
      await checkSample(model, sample, signal);
      return undefined;
    });
    return servable(model, bundle.samples.length);
  });
}

/**
 * Scores the requests of a bundle's samples, and reports their answers. A bundle without samples gets one of the model's
 * own declaration, `samples/example.json`, unless the model does not say enough.
 * @throws what ends a start, and BUNDLE_INVALID for a request that cannot be scored
 */
export async function recordSamples(
  folder: string,
  environment: NodeJS.ProcessEnv,
  report: Report,
  signal: AbortSignal,
): Promise<CheckResult> {
  return withModel(folder, environment, report, signal, async (model, bundle) => {
    const samples = bundle.samples.length > 0 ? bundle.samples : await examples(model, signal);
    await eachSample(samples, report, async (sample) => {
      const { request } = sample;
      return { request, expected: await scoreSample(model, sample, signal) };
    });
    return servable(model, samples.length);
  });
}

/** What a model's file declares. @throws what ends a start */
export async function describeModel(
  file: string,
  environment: NodeJS.ProcessEnv,
  report: Report,
): Promise<CheckResult> {
  const config = configOf(file, environment);
  report({ kind: "phase", phase: "model" });
  const bundle = await readBundle(file, config.model.links);
  const engine = await engineOf(config, bundle, { onRun: () => {}, onWorkerLost: () => {} });
  try {
    const { inputs, outputs } = portsOf(engine.signature);
    const [labels] = bundle.model.labels.values();
    const { external } = bundle.model;
    return {
      kind: "model",
      inputs,
      outputs,
      external: [...external],
      ...(labels && { labels: labels.length }),
    };
  } finally {
    await engine.close();
  }
}

/** Links are followed: what is published is what they lead to. */
function configOf(folder: string, environment: NodeJS.ProcessEnv): Config {
  return readConfig({ ...environment, WORKERS: "1", MODEL_DIR: folder }, "follow");
}

async function withModel(
  folder: string,
  environment: NodeJS.ProcessEnv,
  report: Report,
  signal: AbortSignal,
  use: (model: Model, bundle: Bundle) => Promise<CheckResult>,
): Promise<CheckResult> {
  const config = configOf(folder, environment);
  report({ kind: "phase", phase: "files" });
  const bundle = await readBundle(config.model.folder, config.model.links);
  report({ kind: "phase", phase: "model" });
  const engine = await engineOf(config, bundle, { onRun: () => {}, onWorkerLost: () => {} });
  const decoder = createDecoder({ concurrency: cores(), maxWaiting: config.queue.requests });
  try {
    const model = await warmModel(
      { name: config.model.name, engine, bundle, decoder, limits: config.batch },
      signal,
    );
    report({ kind: "phase", phase: "samples" });
    return await use(model, bundle);
  } finally {
    await engine.close();
    await decoder.close();
  }
}

async function eachSample(
  samples: readonly Sample[],
  report: Report,
  score: (sample: Sample) => Promise<Recorded | undefined>,
): Promise<void> {
  for (const [index, sample] of samples.entries()) {
    const recorded = await score(sample);
    report({
      kind: "sample",
      path: sample.name,
      done: index + 1,
      of: samples.length,
      ...(recorded !== undefined && { recorded }),
    });
  }
}

/** A request that the model accepts, if it says enough to make one. @throws BUNDLE_INVALID when it accepts none */
async function examples(model: Model, signal: AbortSignal): Promise<readonly Sample[]> {
  let rejection: ServerError | undefined;
  for (const whole of [0, 1]) {
    const request = await exampleOf(model, whole);
    if (request === undefined) return [];
    const sample = { name: "samples/example.json", request, expected: null, tolerance: 0 };
    try {
      await scoreSample(model, sample, signal);
      return [sample];
    } catch (error) {
      if (!(error instanceof ServerError) || error.code !== "BUNDLE_INVALID") throw error;
      rejection = error;
    }
  }
  throw invalidBundle(
    `no sample can be made from the model's inputs (${messageOf(rejection?.cause)}): give one that the model scores, by aiapp bundle --sample`,
    { cause: rejection },
  );
}

function portsOf(signature: Model["signature"]): Record<"inputs" | "outputs", CheckedPort[]> {
  const { inputs, outputs } = metadataOf({ name: "", version: "" }, signature);
  const copy = ({ name, datatype, shape }: (typeof inputs)[number]): CheckedPort => ({
    name,
    datatype,
    shape: [...shape],
  });
  return { inputs: inputs.map(copy), outputs: outputs.map(copy) };
}

function servable({ signature, scoring }: Model, samples: number): CheckResult {
  return {
    kind: "servable",
    ...portsOf(signature),
    ...(scoring.labels && { labels: scoring.labels }),
    ...(scoring.image && { image: scoring.image }),
    samples,
  };
}
