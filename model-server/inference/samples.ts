import { allowedDifference } from "../../crds/samples.ts";
import type { Sample } from "../bundle/samples.ts";
import { invalidBundle, ServerError } from "../errors.ts";
import { DEFAULT_TOP, readScoreInput } from "../protocol/score.ts";
import type { Model } from "./model.ts";
import type { Scores } from "./scores.ts";

/** Scores the bundle's samples. @throws SAMPLE_MISMATCH, BUNDLE_INVALID when a sample's request is not valid */
export async function checkSamples(
  model: Model,
  samples: readonly Sample[],
  signal: AbortSignal,
): Promise<void> {
  for (const sample of samples) await checkSample(model, sample, signal);
}

/** @throws SAMPLE_MISMATCH, BUNDLE_INVALID when its request is not valid */
export async function checkSample(
  model: Model,
  sample: Sample,
  signal: AbortSignal,
): Promise<void> {
  const { name, expected, tolerance } = sample;
  const answer = await scoreSample(model, sample, signal);
  const difference = findDifference(answer, expected, tolerance);
  if (difference !== undefined)
    throw new ServerError(
      "SAMPLE_MISMATCH",
      `the answer to ${name} differs from what the bundle expects: ${difference}`,
    );
}

/** @throws BUNDLE_INVALID when its request is not valid */
export async function scoreSample(
  model: Model,
  { name, request }: Sample,
  signal: AbortSignal,
): Promise<Scores> {
  try {
    return await model.score(readScoreInput(request, model.scorePorts), DEFAULT_TOP, signal);
  } catch (cause) {
    if (!(cause instanceof ServerError)) throw cause;
    // A fault of the request is here a fault of a file of the bundle.
    throw cause.status < 500
      ? invalidBundle(`the request of ${name} cannot be scored: ${cause.message}`, { cause })
      : new ServerError(cause.code, `${name} was not scored: ${cause.message}`, { cause });
  }
}

/** The first difference between an answer and what was expected, in words. */
function findDifference(
  answer: unknown,
  expected: unknown,
  tolerance: number,
  path = "answer",
): string | undefined {
  if (typeof answer === "number" && typeof expected === "number") {
    return Math.abs(answer - expected) <= allowedDifference(answer, expected, tolerance)
      ? undefined
      : `${path} is ${answer}, not ${expected}`;
  }
  if (Array.isArray(answer) && Array.isArray(expected) && answer.length === expected.length) {
    for (const [index, one] of answer.entries()) {
      const found = findDifference(one, expected[index], tolerance, `${path}[${index}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return answer === expected
    ? undefined
    : `${path} is ${JSON.stringify(answer)}, not ${JSON.stringify(expected)}`;
}
