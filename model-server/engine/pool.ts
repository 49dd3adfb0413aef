import { ServerError } from "../errors.ts";
import { errorOfLoad } from "./runtime-errors.ts";
import type { SessionOptions } from "./messages.ts";
import type { Signature } from "./signature.ts";
import { startWorker, type WorkerHandle } from "./worker-handle.ts";

/** `failed` and `hung` do not end without a new process. */
export type PoolState = "ready" | "loading" | "slow" | "hung" | "failed";

/** The workers. Once all of them have loaded the model, each is replaced when it dies. */
export interface Pool {
  /** Resolves when every worker has loaded the model. @throws MODEL_LOAD_FAILED when one of them has not, CONFIG_INVALID */
  readonly loaded: Promise<Signature>;
  /**
   * A worker that may get a run.
   * @param isShort also one that is busy with a single other run, and rather that: to wake another thread takes longer
   */
  readonly free: (isShort: boolean) => WorkerHandle | undefined;
  /** The worker of a slot from 0 on: one that replaces another runs what it gets once it has loaded the model. */
  readonly worker: (slot: number) => WorkerHandle;
  readonly state: () => PoolState;
  /** Whether its state is `failed`, which a request asks before it waits. */
  readonly hasFailed: () => boolean;
  /** Ends the workers once their runs are done; a run that hangs is not awaited for longer than `maxMs`. */
  readonly close: (maxMs: number) => Promise<void>;
}

export interface PoolOptions extends SessionOptions {
  readonly workers: number;
  /** A run beyond this has no use any more: its request has timed out. */
  readonly slowMs: number;
  readonly onWorkerLost: (error: Error) => void;
  readonly onIdle: () => void;
}

/** A worker that keeps dying is not replaced without end. */
const MAX_RESTARTS = 20;
/** Deaths further apart than this do not add up. */
const RESTART_WINDOW_MS = 10 * 60_000;
/** A run that lasts this many times the limit of a request is taken to hang. */
const HUNG_FACTOR = 4;

export function startPool(options: PoolOptions): Pool {
  const loading = Promise.withResolvers<Signature>();
  const workers: WorkerHandle[] = [];
  const deaths: number[] = [];
  let started = false;
  let closing = false;
  let failed = false;

  /** Before all workers have loaded the model this ends the start; later it concerns one worker. */
  function fail(error: ServerError): void {
    closing ||= !started;
    loading.reject(error);
  }

  function mayRestart(): boolean {
    const now = performance.now();
    deaths.push(now);
    while ((deaths[0] ?? now) < now - RESTART_WINDOW_MS) deaths.shift();
    return deaths.length <= MAX_RESTARTS;
  }

  function start(slot: number): void {
    workers[slot] = startWorker(
      {
        modelFile: options.modelFile,
        patches: options.patches,
        threads: options.threads,
        provider: options.provider,
      },
      {
        onLoaded: (signature) => {
          started ||= workers.every((worker) => worker.isLoaded());
          if (started) loading.resolve(signature);
          options.onIdle();
        },
        onRefused: (message) => fail(errorOfLoad(message, options)),
        onExit: (error) => {
          fail(new ServerError("MODEL_LOAD_FAILED", `the model's worker died: ${error.message}`));
          if (closing) return;
          options.onWorkerLost(error);
          if (mayRestart()) start(slot);
          else failed = !workers.some((worker) => worker.isLoaded());
        },
      },
    );
  }

  function withRuns(count: number): WorkerHandle | undefined {
    return workers.find((worker) => worker.isLoaded() && worker.runs() === count);
  }

  function longestRun(): number {
    const now = performance.now();
    return Math.max(0, ...workers.map((worker) => now - (worker.busySince() ?? now)));
  }

  for (let slot = 0; slot < options.workers; slot += 1) start(slot);
  return {
    loaded: loading.promise,
    free: (isShort) => (isShort ? withRuns(1) : undefined) ?? withRuns(0),
    worker: (slot) => {
      const worker = workers[slot];
      if (worker === undefined) throw new Error(`there is no worker ${slot}`);
      return worker;
    },
    state: () => {
      if (failed) return "failed";
      const longest = longestRun();
      if (longest > HUNG_FACTOR * options.slowMs) return "hung";
      if (longest > options.slowMs) return "slow";
      return workers.some((worker) => worker.isLoaded()) ? "ready" : "loading";
    },
    hasFailed: () => failed,
    close: async (maxMs) => {
      closing = true;
      for (const worker of workers) worker.end();
      const bound = Promise.withResolvers<void>();
      const timer = setTimeout(bound.resolve, maxMs);
      await Promise.race([bound.promise, Promise.all(workers.map(({ ended }) => ended))]);
      clearTimeout(timer);
    },
  };
}
