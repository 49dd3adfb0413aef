import { setTimeout as delay } from "node:timers/promises";

import { isOperatorError, OperatorError } from "../errors.ts";
import { findDifference } from "./compare.ts";
import { listSamples, readSample } from "./samples.ts";
import { findUnready, score } from "./score.ts";

/** What is verified: one server and the bundle that it serves. */
export interface Verification {
  /** The bundle's folder. */
  readonly bundle: string;
  readonly readyUrl: URL;
  /** Any server's: the samples' requests are posted there as they are. Without it, readiness is all that counts. */
  readonly scoreUrl: URL | undefined;
  readonly scoresSamples: boolean;
  /** Of the whole verification, and of one sample. */
  readonly timeoutMs: number;
  readonly requestTimeoutMs: number;
}

/** The server starts meanwhile. */
const READY_INTERVAL_MS = 100;
/** As the kubelet's probes: a server that is about to load may not respond to its first request. */
const READY_REQUEST_MS = 5000;

/**
 * Scores the bundle's samples as a user would, one after the other.
 * @returns what was verified, in words
 * @throws VERIFICATION_FAILED, SAMPLES_INVALID, VERIFICATION_TIMED_OUT; the signal's reason once it is aborted
 */
export async function verify(job: Verification, signal: AbortSignal): Promise<string> {
  const deadline = AbortSignal.timeout(job.timeoutMs);
  await waitUntilReady(job, AbortSignal.any([signal, deadline]));
  if (!job.scoresSamples) return "the server is ready; samples are not to be scored";
  if (job.scoreUrl === undefined) return "the server is ready; it has no path to score samples at";
  const paths = await listSamples(job.bundle);
  if (paths.length === 0) return "no samples in the bundle; the server is ready";
  const began = performance.now();
  for (const [passed, path] of paths.entries()) {
    const limits = [signal, deadline, AbortSignal.timeout(job.requestTimeoutMs)];
    try {
      await checkSample(job.bundle, path, job.scoreUrl, AbortSignal.any(limits));
    } catch (error) {
      if (!isTimeout(error)) throw error;
      const progress = `${passed} of ${paths.length} samples passed, then ${path} had no response`;
      throw deadline.aborted
        ? timedOut(`${progress} within the ${seconds(job.timeoutMs)} of the whole verification`)
        : timedOut(`${progress} from ${job.scoreUrl.href} within ${seconds(job.requestTimeoutMs)}`);
    }
  }
  const ms = Math.ceil(performance.now() - began);
  return `${paths.length} ${paths.length === 1 ? "sample" : "samples"} passed in ${ms} ms`;
}

async function waitUntilReady(job: Verification, signal: AbortSignal): Promise<void> {
  let problem = `GET ${job.readyUrl.href} had no response`;
  try {
    for (;;) {
      const found = await askOnce(job, signal);
      if (found === undefined) return;
      problem = found;
      await delay(READY_INTERVAL_MS, undefined, { signal });
    }
  } catch (error) {
    // Its timer ends with an AbortError of its own.
    const reason: unknown = signal.aborted ? signal.reason : error;
    if (!isTimeout(reason)) throw reason;
    throw timedOut(`the server was not ready within ${seconds(job.timeoutMs)}: ${problem}`);
  }
}

async function askOnce(
  { readyUrl, requestTimeoutMs }: Verification,
  signal: AbortSignal,
): Promise<string | undefined> {
  const limitMs = Math.min(requestTimeoutMs, READY_REQUEST_MS);
  const limit = AbortSignal.timeout(limitMs);
  try {
    return await findUnready(readyUrl, AbortSignal.any([signal, limit]));
  } catch (error) {
    if (signal.aborted || !limit.aborted) throw error;
    return `GET ${readyUrl.href} had no response within ${seconds(limitMs)}`;
  }
}

async function checkSample(
  bundle: string,
  path: string,
  url: URL,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const sample = await readSample(bundle, path);
  const response = await score(url, sample.request, signal).catch((error: unknown) => {
    if (!isOperatorError(error, "VERIFICATION_FAILED")) throw error;
    throw failed(
      `${path}: ${error.message}; read the log of the container server, then correct the code image, the model or the sample`,
      error,
    );
  });
  const difference = findDifference(response, sample);
  if (difference === undefined) return;
  throw failed(
    `${path}: ${difference}; correct the code image or the model, or, if this response is right, publish a new model version with it as the sample's expected one`,
    undefined,
  );
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}

function failed(message: string, cause: unknown): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", message, { cause });
}

function timedOut(message: string): OperatorError {
  return new OperatorError(
    "VERIFICATION_TIMED_OUT",
    `${message}; read the log of the container server, and if it is slow, raise spec.resources or spec.verify.timeout, or publish fewer samples`,
  );
}
