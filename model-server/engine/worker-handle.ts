import { Worker } from "node:worker_threads";

import { ServerError } from "../errors.ts";
import type { Tensors } from "../tensor/tensor.ts";
import type { FromWorker, ToWorker, SessionOptions } from "./messages.ts";
import { errorOfRun } from "./runtime-errors.ts";
import type { RunResult } from "./session.ts";
import type { Signature } from "./signature.ts";

/** A worker thread, seen from the main thread. */
export interface WorkerHandle {
  /** How many runs it has got and not answered. */
  readonly runs: () => number;
  readonly isLoaded: () => boolean;
  /** When it got the oldest of them, by the clock of `performance.now`. */
  readonly busySince: () => number | undefined;
  /** Hands the inputs over: their memory is gone. @throws WORKER_LOST, REQUEST_INVALID, OUT_OF_MEMORY */
  readonly run: (inputs: Tensors, outputs: readonly string[]) => Promise<RunResult>;
  /** Ends the thread once its run is done: to terminate one in the middle of a run aborts the whole process. */
  readonly end: () => void;
  readonly ended: Promise<void>;
}

export interface WorkerEvents {
  readonly onLoaded: (signature: Signature) => void;
  readonly onRefused: (message: string) => void;
  readonly onExit: (error: Error) => void;
}

interface Run {
  readonly since: number;
  readonly resolve: (result: RunResult) => void;
  readonly reject: (error: Error) => void;
}

export function startWorker(options: SessionOptions, events: WorkerEvents): WorkerHandle {
  const worker = new Worker(new URL("worker.ts", import.meta.url), { workerData: options });
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  let loaded = false;
  /** By their ids, the oldest first. */
  const runs = new Map<number, Run>();
  let lastId = 0;
  let cause: Error | undefined;

  function settle(id: number, action: (run: Run) => void): void {
    const run = runs.get(id);
    if (run === undefined) return;
    runs.delete(id);
    action(run);
  }

  worker.on("message", (message: FromWorker) => {
    switch (message.kind) {
      case "ready":
        loaded = true;
        events.onLoaded(message.signature);
        break;
      case "refused":
        events.onRefused(message.message);
        break;
      case "result":
        settle(message.id, ({ resolve }) => resolve({ outputs: message.outputs, ms: message.ms }));
        break;
      case "failed":
        settle(message.id, ({ reject }) => reject(errorOfRun(message.message)));
        break;
    }
  });
  worker.on("error", (error: Error) => {
    cause = error;
  });
  worker.on("exit", (code) => {
    loaded = false;
    for (const id of runs.keys())
      settle(id, ({ reject }) =>
        reject(new ServerError("WORKER_LOST", "the worker of this request died: try again")),
      );
    events.onExit(cause ?? new Error(`exit code ${code}`));
  });

  return {
    runs: () => runs.size,
    isLoaded: () => loaded,
    busySince: () => runs.values().next().value?.since,
    run: (inputs, outputs) => {
      lastId += 1;
      const id = lastId;
      const done = new Promise<RunResult>((resolve, reject) => {
        runs.set(id, { since: performance.now(), resolve, reject });
      });
      const message: ToWorker = { kind: "run", id, inputs, outputs };
      worker.postMessage(message, buffersOf(inputs));
      return done;
    },
    end: () => {
      const message: ToWorker = { kind: "end" };
      worker.postMessage(message, []);
    },
    ended,
  };
}

/** Below this a copy is cheaper than the hand-over. */
const TRANSFER_BYTES = 16_384;

function buffersOf(tensors: Tensors): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of tensors.values())
    if (ArrayBuffer.isView(data) && data.buffer.byteLength >= TRANSFER_BYTES)
      buffers.add(data.buffer);
  return [...buffers];
}
