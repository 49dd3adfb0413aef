import { messageOf } from "../errors.ts";
import type { Tensors } from "../tensor/tensor.ts";
import type { SessionOptions } from "./messages.ts";
import { createRunCosts } from "./run-costs.ts";
import { errorOfRun } from "./runtime-errors.ts";
import type { RunResult, Session } from "./session.ts";

/**
 * Runs on the main thread what takes less time than the way to a worker and back (docs/decisions/0025). Such a run blocks the
 * server for no longer than reading a large request does. Its session is opened once the runs of the workers have shown that
 * there are such runs.
 */
export interface MainThread {
  /** Whether a run of so many rows of this shape belongs here; a worker runs it otherwise. */
  readonly takes: (shape: string, rows: number) => boolean;
  /** Milliseconds that a run is expected to take, here or by a worker; infinite where too little is known. */
  readonly expectedMs: (shape: string, rows: number) => number;
  /** @throws REQUEST_INVALID, OUT_OF_MEMORY */
  readonly run: (inputs: Tensors, outputs: readonly string[]) => Promise<RunResult>;
  /** What a run took, here or by a worker. */
  readonly observe: (shape: string, rows: number, ms: number) => void;
}

/** @param limitMs the longest that a run here is expected to take */
export function createMainThread(options: SessionOptions, limitMs: number): MainThread {
  const costs = createRunCosts();
  let session: Session | undefined;
  let isOpening = false;

  /** A model that fails to load here, though a worker has loaded it, is run by workers. */
  async function open(): Promise<void> {
    isOpening = true;
    // The runtime takes a while to load: only where it is needed.
    session = await import("./session.ts")
      .then(({ openSession }) => openSession(options))
      .catch(() => undefined);
  }

  return {
    takes: (shape, rows) => {
      if (costs.expectedMs(shape, rows) > limitMs) return false;
      if (session === undefined && !isOpening) void open();
      return session !== undefined;
    },
    run: async (inputs, outputs) => {
      if (session === undefined) throw new Error("there is no session on the main thread");
      try {
        return await session.run(inputs, outputs);
      } catch (error) {
        throw errorOfRun(messageOf(error));
      }
    },
    observe: costs.observe,
    expectedMs: costs.expectedMs,
  };
}
