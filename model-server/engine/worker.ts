import { readFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";

import { InferenceSession, type Tensor as OrtTensor } from "onnxruntime-node";

import { applyPatches } from "../onnx/patch.ts";
import type { Tensor, Tensors } from "../tensor/tensor.ts";
import type { FromWorker, ToWorker, WorkerOptions } from "./messages.ts";
import { fromRuntime, signatureOf, toRuntime } from "./runtime.ts";

/** One session in a thread of its own, since a run blocks its thread. */
const { modelFile, patches, threads, provider } = workerData as WorkerOptions;

function send(message: FromWorker, transfer: readonly ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function run(
  session: InferenceSession,
  inputs: Tensors,
  outputs: readonly string[],
): Promise<{ readonly outputs: Tensors; readonly ms: number }> {
  const feeds: Record<string, OrtTensor> = {};
  for (const [name, tensor] of inputs) feeds[name] = toRuntime(tensor);
  const began = performance.now();
  const fetched = await session.run(feeds, outputs);
  const ms = performance.now() - began;
  const results = new Map<string, Tensor>();
  for (const name of outputs) {
    const value = fetched[name];
    if (value === undefined) throw new Error(`the model gives no output ${name}`);
    results.set(name, fromRuntime(value));
  }
  return { outputs: results, ms };
}

function serve(session: InferenceSession): void {
  let inFlight = Promise.resolve();
  parentPort?.on("message", (message: ToWorker) => {
    if (message.kind === "end") {
      // What runs is still answered.
      void inFlight.then(() => parentPort?.close());
      return;
    }
    const { id } = message;
    inFlight = run(session, message.inputs, message.outputs).then(
      (result) => send({ kind: "result", id, ...result }, buffersOf(result.outputs)),
      (error: unknown) => send({ kind: "failed", id, message: messageOf(error) }),
    );
  });
  send({ kind: "ready", signature: signatureOf(session) });
}

function buffersOf(tensors: Tensors): ArrayBuffer[] {
  return [...tensors.values()].flatMap(({ data }) =>
    ArrayBuffer.isView(data) ? [data.buffer] : [],
  );
}

async function createSession(): Promise<InferenceSession> {
  const options: InferenceSession.SessionOptions = {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    logSeverityLevel: 4,
    // After one allocation that failed the arena takes all the memory that it can get for the next, however small.
    enableCpuMemArena: false,
  };
  // By its path a model takes half the memory.
  return patches.length === 0
    ? InferenceSession.create(modelFile, options)
    : InferenceSession.create(applyPatches(await readFile(modelFile), patches), options);
}

try {
  serve(await createSession());
} catch (error) {
  send({ kind: "refused", message: messageOf(error) });
}
