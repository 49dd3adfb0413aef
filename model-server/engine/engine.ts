import { Worker } from "node:worker_threads";

import { ServerError } from "../errors.ts";
import type { FromWorker, Signature, Tensor, ToWorker } from "./tensor.ts";

/** The model, loaded in worker threads. The only folder that knows the runtime. */
export interface Engine {
  readonly signature: Signature;
  /**
   * Runs the model on one input tensor, and gives its first output.
   * @throws OVERLOADED when too many wait, TIMED_OUT, REQUEST_INVALID when the runtime refuses the input
   */
  readonly run: (input: string, tensor: Tensor, signal: AbortSignal) => Promise<Tensor>;
  /** Whether a worker is there to run. */
  readonly isReady: () => boolean;
  readonly waiting: () => number;
  /** Takes no more work and ends the threads once they are done. */
  readonly close: () => Promise<void>;
}

export interface EngineOptions {
  readonly modelFile: string;
  readonly workers: number;
  /** Threads of the runtime per worker. */
  readonly threads: number;
  readonly maxQueue: number;
  readonly onWorkerLost: (error: Error) => void;
}

interface Job {
  readonly input: string;
  readonly tensor: Tensor;
  readonly resolve: (output: Tensor) => void;
  readonly reject: (error: Error) => void;
}

interface Seat {
  worker: Worker;
  ended: Promise<void>;
  job: Job | undefined;
  ready: boolean;
}

/** A thread that keeps dying is not worth starting for ever. */
const MAX_RESTARTS = 20;

/** @throws MODEL_LOAD_FAILED with what the runtime says */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  // The runtime sends usage data otherwise. Native code sees the main thread's environment, not a worker's copy.
  process.env["ORT_DISABLE_TELEMETRY"] = "1";
  const queue: Job[] = [];
  const seats: Seat[] = [];
  const loading = Promise.withResolvers<Signature>();
  let started = false;
  let closing = false;
  let restarts = 0;

  function pump(): void {
    for (const seat of seats) {
      if (!seat.ready || seat.job !== undefined) continue;
      const job = queue.shift();
      if (job === undefined) return;
      seat.job = job;
      const message: ToWorker = { kind: "run", id: 0, input: job.input, tensor: job.tensor };
      seat.worker.postMessage(message, [job.tensor.data.buffer]);
    }
  }

  function finish(seat: Seat, settle: (job: Job) => void): void {
    const { job } = seat;
    seat.job = undefined;
    if (job !== undefined) settle(job);
    pump();
  }

  /** Before the first thread is ready it ends the start; what comes later is another thread's matter. */
  function fail(message: string): void {
    closing ||= !started;
    loading.reject(new ServerError("MODEL_LOAD_FAILED", message));
  }

  function seatWorker(seat: Seat): void {
    const worker = new Worker(new URL("worker.ts", import.meta.url), {
      workerData: { modelFile: options.modelFile, threads: options.threads },
    });
    seat.worker = worker;
    seat.ended = new Promise((resolve) => worker.once("exit", () => resolve()));
    seat.ready = false;
    worker.on("message", (message: FromWorker) => {
      if (message.kind === "ready") {
        seat.ready = true;
        started = true;
        loading.resolve(message.signature);
        pump();
      } else if (message.kind === "refused") {
        fail(`the runtime refuses model.onnx: ${message.message}`);
      } else if (message.kind === "result") {
        finish(seat, (job) => job.resolve(message.output));
      } else {
        finish(seat, (job) =>
          job.reject(
            new ServerError("REQUEST_INVALID", `the model refuses this input: ${message.message}`),
          ),
        );
      }
    });
    let cause: Error | undefined;
    worker.on("error", (error: Error) => {
      cause = error;
    });
    worker.on("exit", (code) => {
      seat.ready = false;
      finish(seat, (job) =>
        job.reject(new ServerError("WORKER_LOST", "the request's thread died: try again")),
      );
      const error = cause ?? new Error(`exit code ${code}`);
      fail(`the model's thread died: ${error.message}`);
      if (closing) return;
      options.onWorkerLost(error);
      restarts += 1;
      if (restarts <= MAX_RESTARTS) seatWorker(seat);
    });
  }

  async function close(): Promise<void> {
    closing = true;
    for (const job of queue.splice(0))
      job.reject(new ServerError("OVERLOADED", "the server is stopping"));
    // Asked, not terminated: ending a thread in the middle of a run aborts the whole process.
    const end: ToWorker = { kind: "end" };
    for (const { worker } of seats) worker.postMessage(end, []);
    await Promise.all(seats.map(({ ended }) => ended));
  }

  for (let index = 0; index < options.workers; index += 1) {
    // The worker is seated at once.
    const seat: Seat = {
      worker: undefined as never,
      ended: Promise.resolve(),
      job: undefined,
      ready: false,
    };
    seats.push(seat);
    seatWorker(seat);
  }
  let signature: Signature;
  try {
    signature = await loading.promise;
  } catch (error) {
    // Another thread may load it all the same.
    await close();
    throw error;
  }

  return {
    signature,
    isReady: () => !closing && seats.some(({ ready }) => ready),
    waiting: () => queue.length,
    run: (input, tensor, signal) =>
      new Promise<Tensor>((resolve, reject) => {
        if (queue.length >= options.maxQueue || closing) {
          reject(
            new ServerError("OVERLOADED", "too many requests wait already: try again in a moment"),
          );
          return;
        }
        const giveUp = (): void => {
          const index = queue.indexOf(job);
          // What runs cannot be stopped, only what waits.
          if (index !== -1) queue.splice(index, 1);
          reject(new ServerError("TIMED_OUT", "the request was not scored in time: try again"));
        };
        const settled = (): void => signal.removeEventListener("abort", giveUp);
        const job: Job = {
          input,
          tensor,
          resolve: (output) => {
            settled();
            resolve(output);
          },
          reject: (error) => {
            settled();
            reject(error);
          },
        };
        if (signal.aborted) {
          giveUp();
          return;
        }
        signal.addEventListener("abort", giveUp, { once: true });
        queue.push(job);
        pump();
      }),
    close,
  };
}
