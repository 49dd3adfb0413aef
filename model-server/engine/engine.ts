import { cancellationOf, ServerError } from "../errors.ts";
import type { OnStage } from "../stages.ts";
import { bytesOf, type Tensors } from "../tensor/tensor.ts";
import { createBatchSize } from "./batch-size.ts";
import {
  hasRows,
  keyOf,
  mergeInputs,
  splitOutputs,
  takeBatch,
  type Batchable,
  type BatchLimits,
} from "./batcher.ts";
import { createMainThread, type MainThread } from "./main-thread.ts";
import type { EngineOptions } from "./options.ts";
import { startPool, type PoolState } from "./pool.ts";
import { createQueue } from "./queue.ts";
import { withBatching, type Signature } from "./signature.ts";
import type { WorkerHandle } from "./worker-handle.ts";

/**
 * Runs the model on tensors by the names of its inputs, and gives the outputs wanted. Takes the inputs' memory.
 * @param onStage gets the request's `queue` and `run`
 * @throws OVERLOADED when too many wait, the signal's reason (TIMED_OUT unless it is an error of ours),
 *   REQUEST_INVALID when the runtime rejects an input, OUT_OF_MEMORY, WORKER_LOST
 */
export type Run = (
  inputs: Tensors,
  outputs: readonly string[],
  signal: AbortSignal,
  onStage?: OnStage,
) => Promise<Tensors>;

/** The model, loaded in worker threads. The only folder that imports the runtime. */
export interface Engine {
  /** As it is served: with what `BATCHING` makes of the batch. */
  readonly signature: Signature;
  readonly run: Run;
  /** Runs of one worker each, past the queue and without sharing, to warm up every worker. */
  readonly perWorker: readonly Run[];
  readonly state: () => PoolState;
  /** Requests that wait for a worker. */
  readonly waiting: () => number;
  /** Takes no more requests, and ends the workers once they are done. */
  readonly close: () => Promise<void>;
}

/** What runs a batch: a worker, or the main thread. */
type Runner = Pick<WorkerHandle, "run">;

interface Request extends Batchable {
  /** Runs of the same shape cost the same a row. */
  readonly shape: string;
  /** When it joined the queue. */
  since: number;
  readonly onStage: OnStage | undefined;
  readonly resolve: (outputs: Tensors) => void;
  readonly reject: (error: unknown) => void;
}

/** So many requests in a row that came alone say that the next one does, too. */
const ALONE = 8;
/** A worker that is busy gets the next run ahead if that is expected to take at most so long. */
const AHEAD_MS = 0.3;
const CLOSE_MS = 30_000;

/** @throws MODEL_LOAD_FAILED with the runtime's message */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  // The runtime sends usage data otherwise. Native code sees the main thread's environment, not a worker's copy.
  process.env["ORT_DISABLE_TELEMETRY"] = "1";
  const queue = createQueue<Request>(options.queue);
  const size = createBatchSize(options.batch.rows);
  /** Requests of a batch that failed: each is run alone, since one of them may be to blame. */
  const retries: Request[] = [];
  let closing = false;
  let isPumpDue = false;
  let running = 0;
  /** How many requests in a row came while nothing else waited or ran. */
  let alone = 0;
  let merges = false;
  const pool = startPool({ ...options, slowMs: options.requestTimeoutMs, onIdle: pump });
  let mainThread: MainThread | undefined;

  function pump(): void {
    const only = alone >= ALONE ? queue.first() : undefined;
    if (only !== undefined && mainThread?.takes(only.shape, costRows(only.rows)) === true) {
      queue.remove(only);
      void runBatch(mainThread, [only]);
    }
    for (let worker = nextWorker(); worker !== undefined; worker = nextWorker()) {
      const failed = retries.shift();
      const batch = failed === undefined ? takeBatch(queue, batchLimits()) : [failed];
      void runBatch(worker, batch);
    }
  }

  /** For the next run; undefined also where nothing waits. */
  function nextWorker(): WorkerHandle | undefined {
    const next = retries[0] ?? queue.first();
    if (next === undefined) return undefined;
    // A request of more rows than a batch has runs whole.
    const rows = Math.max(next.rows, Math.min(queue.rows(), batchLimits().rows));
    const expectedMs = mainThread?.expectedMs(next.shape, costRows(rows)) ?? Infinity;
    return pool.free(expectedMs <= AHEAD_MS);
  }

  /** Where the first dimension is no batch, it is part of the shape. */
  function costRows(rows: number): number {
    return merges ? rows : 1;
  }

  /** Where sharing pays, requests that come in one turn of the event loop share a message and a run. */
  function pumpSoon(): void {
    if (isPumpDue) return;
    isPumpDue = true;
    setImmediate(() => {
      isPumpDue = false;
      pump();
    });
  }

  /** False where the queue is full, although every idle worker has taken what it may. */
  function enqueue(request: Request): boolean {
    if (queue.add(request)) return true;
    pump();
    return queue.add(request);
  }

  function batchLimits(): BatchLimits {
    return options.batching === "on" ? options.batch : { ...options.batch, rows: size.rows() };
  }

  /** @param isCold the first run of a worker, which says nothing of what later ones take */
  async function runBatch(
    runner: Runner,
    batch: readonly Request[],
    isCold = false,
  ): Promise<void> {
    const began = performance.now();
    const outputs = batch[0]?.outputs ?? [];
    for (const { onStage, since } of batch)
      onStage?.({ kind: "queue", began: since, ended: began });
    running += 1;
    try {
      const result = await runner.run(mergeInputs(batch), outputs);
      const rows = batch.reduce((sum, request) => sum + request.rows, 0);
      // What the model declares is not so: the next ones run alone.
      if (merges && !hasRows(result.outputs, rows)) merges = false;
      const parts = splitOutputs(result.outputs, batch);
      const ended = performance.now();
      const run = { rows, requests: batch.length, computed: result.ms };
      for (const [index, part] of parts.entries()) {
        batch[index]?.onStage?.({ kind: "run", began, ended, ...run });
        batch[index]?.resolve(part);
      }
      if (!isCold) {
        size.observe(rows, result.ms);
        mainThread?.observe(batch[0]?.shape ?? "", costRows(rows), result.ms);
      }
      options.onRun?.({
        rows,
        isOnMainThread: runner === mainThread,
        queued: batch.map(({ since }) => began - since),
        computed: result.ms,
        total: ended - began,
      });
    } catch (error) {
      const isForAll = batch.length === 1 || !isOfOneRequest(error);
      if (isForAll) for (const request of batch) request.reject(error);
      else retry(batch);
    }
    running -= 1;
    pump();
  }

  function retry(batch: readonly Request[]): void {
    const since = performance.now();
    for (const request of batch) {
      request.since = since;
      retries.push(request);
    }
  }

  /** @param send has the request run, or rejects it */
  function runOf(send: (request: Request) => void): Run {
    return (inputs, outputs, signal, onStage) =>
      new Promise<Tensors>((resolve, reject) => {
        if (signal.aborted) {
          reject(cancellationOf(signal));
          return;
        }
        if (closing || pool.hasFailed()) {
          reject(overloaded());
          return;
        }
        const cancel = (): void => {
          // A run cannot be stopped, only what waits.
          const index = retries.indexOf(request);
          if (index !== -1) retries.splice(index, 1);
          if (queue.remove(request) || index !== -1)
            onStage?.({ kind: "queue", began: request.since, ended: performance.now() });
          reject(cancellationOf(signal));
        };
        const shape = merges || mainThread !== undefined ? keyOf(inputs, outputs, merges) : "";
        const request: Request = {
          inputs,
          outputs,
          rows: rowsOf(inputs),
          bytes: sumOfBytes(inputs),
          shape,
          key: merges ? shape : undefined,
          since: performance.now(),
          onStage,
          resolve: (result) => {
            signal.removeEventListener("abort", cancel);
            resolve(result);
          },
          reject: (error) => {
            signal.removeEventListener("abort", cancel);
            reject(error);
          },
        };
        signal.addEventListener("abort", cancel, { once: true });
        send(request);
      });
  }

  async function close(): Promise<void> {
    closing = true;
    for (const request of [...retries.splice(0), ...queue.entries()]) {
      queue.remove(request);
      request.reject(new ServerError("OVERLOADED", "the server is stopping"));
    }
    await pool.close(CLOSE_MS);
  }

  let signature: Signature;
  try {
    signature = withBatching(await pool.loaded, options.batching);
  } catch (error) {
    // Another worker may have loaded it.
    await close();
    throw error;
  }
  if (options.mainThreadMs > 0 && !takesText(signature))
    mainThread = createMainThread(options, options.mainThreadMs);
  merges = signature.batch.kind === "shared";

  return {
    signature,
    state: () => (closing ? "loading" : pool.state()),
    waiting: () => queue.size() + retries.length,
    run: runOf((request) => {
      alone = running === 0 && queue.size() === 0 ? alone + 1 : 0;
      if (!enqueue(request)) {
        request.reject(overloaded());
        return;
      }
      if (merges && alone < ALONE && queue.rows() < batchLimits().rows) pumpSoon();
      else pump();
    }),
    perWorker: Array.from({ length: options.workers }, (_, slot) =>
      runOf((request) => void runBatch(pool.worker(slot), [request], true)),
    ),
    close,
  };
}

function overloaded(): ServerError {
  return new ServerError("OVERLOADED", "too many requests wait: try again in a moment");
}

/** Whether a failure of a batch may be the fault of one of its requests. */
function isOfOneRequest(error: unknown): boolean {
  return error instanceof ServerError && error.code !== "WORKER_LOST";
}

/** What a run takes follows from its text then, which is of any length. */
function takesText({ inputs }: Signature): boolean {
  return inputs.some(({ datatype }) => datatype === "BYTES");
}

function rowsOf(inputs: Tensors): number {
  const [first] = inputs.values();
  return first?.dims[0] ?? 1;
}

function sumOfBytes(inputs: Tensors): number {
  let sum = 0;
  for (const tensor of inputs.values()) sum += bytesOf(tensor);
  return sum;
}
