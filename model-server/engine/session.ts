import { readFile } from "node:fs/promises";

import { InferenceSession, type Tensor as OrtTensor } from "onnxruntime-node";

import { applyPatches } from "../onnx/patch.ts";
import type { Tensor, Tensors } from "../tensor/tensor.ts";
import type { SessionOptions } from "./messages.ts";
import { fromRuntime, signatureOf, toRuntime } from "./runtime.ts";
import type { Signature } from "./signature.ts";

export interface RunResult {
  readonly outputs: Tensors;
  /** Milliseconds of the run itself. */
  readonly ms: number;
}

/** A model that the runtime has loaded in this thread. A run blocks its thread. */
export interface Session {
  readonly signature: Signature;
  /** @throws the runtime's error */
  readonly run: (inputs: Tensors, outputs: readonly string[]) => Promise<RunResult>;
}

/** @throws the runtime's error, or an Error naming an input whose type cannot be served */
export async function openSession(options: SessionOptions): Promise<Session> {
  const session = await createSession(options);
  return {
    signature: signatureOf(session),
    run: async (inputs, outputs) => {
      const feeds: Record<string, OrtTensor> = {};
      for (const [name, tensor] of inputs) feeds[name] = toRuntime(tensor);
      // The runtime begins in the next phase of the event loop, after all that has come with this one.
      let began = 0;
      setImmediate(() => {
        began = performance.now();
      });
      const fetched = await session.run(feeds, outputs);
      const ms = performance.now() - began;
      const results = new Map<string, Tensor>();
      for (const name of outputs) {
        const value = fetched[name];
        if (value === undefined) throw new Error(`the model gives no output ${name}`);
        results.set(name, fromRuntime(value));
      }
      return { outputs: results, ms };
    },
  };
}

async function createSession({
  modelFile,
  patches,
  threads,
  provider,
}: SessionOptions): Promise<InferenceSession> {
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
