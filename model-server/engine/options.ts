import type { BatchLimits } from "./batcher.ts";
import type { SessionOptions } from "./messages.ts";
import type { QueueLimits } from "./queue.ts";

export interface EngineOptions extends SessionOptions {
  readonly workers: number;
  readonly queue: QueueLimits;
  /** How many rows and bytes of several requests share a run. */
  readonly batch: BatchLimits;
  /**
   * `auto`: requests share a run where the model itself names its first dimension a batch, as many as get cheaper together.
   * `on`: as many as fit, wherever it is free. `off`: never, and no request is split or padded.
   */
  readonly batching: "auto" | "on" | "off";
  /** The longest that a run on the main thread is expected to take; 0: workers run all. */
  readonly mainThreadMs: number;
  /** The longest that a request may take. */
  readonly requestTimeoutMs: number;
  readonly onWorkerLost: (error: Error) => void;
  readonly onRun?: (run: RunReport) => void;
}

/** What a run took, in milliseconds. */
export interface RunReport {
  readonly rows: number;
  /** No worker ran it. */
  readonly isOnMainThread: boolean;
  /** How long each of its requests waited. */
  readonly queued: readonly number[];
  /** In the runtime. */
  readonly computed: number;
  /** From the queue and back, the way to the worker included. */
  readonly total: number;
}
