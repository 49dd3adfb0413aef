import type { Clock } from "../clock.ts";
import { isOperatorError, retryOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { createQueue, type Outcome, type Queue } from "./queue.ts";

export interface ControllerOptions {
  /** The value of the labels `controller` and `name` in metrics. */
  readonly name: string;
  /** How many keys are worked on at once. */
  readonly workers: number;
  /** Reads the world around one key and changes it to what is desired. A key for which it throws comes back with back-off. */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<Outcome>;
}

/** A queue whose work is to reconcile, counted and logged: it begins after `ready` and ends with the signal. */
export function startController(
  { name: controller, workers, reconcile }: ControllerOptions,
  {
    clock,
    log,
    metrics,
    ready,
  }: {
    readonly clock: Clock;
    readonly log: Logger;
    readonly metrics: Metrics;
    readonly ready: () => Promise<unknown>;
  },
  signal: AbortSignal,
): Queue {
  async function work(key: string): Promise<Outcome> {
    await ready();
    const began = clock.now();
    try {
      const outcome = await reconcile(key, signal);
      const result = outcome.kind === "requeue" ? "requeue_after" : "success";
      metrics.reconcileTotal.inc({ controller, result });
      return outcome;
    } catch (error) {
      metrics.reconcileTotal.inc({ controller, result: "error" });
      metrics.reconcileErrors.inc({ controller });
      throw error;
    } finally {
      metrics.reconcileSeconds.observe({ controller }, (clock.now() - began) / 1000);
    }
  }

  function onError(key: string, error: unknown): { retry: boolean; minimumMs?: number } {
    if (signal.aborted) return { retry: false };
    const { retry, minimumMs } = retryOf(error);
    // Another writer was faster: the next reconcile reads what it wrote.
    if (isOperatorError(error, "KUBE_CONFLICT"))
      log.debug({ controller, key, error }, "reconcile met a conflict");
    else log.warn({ controller, key, error, retry }, "reconcile failed");
    return { retry, minimumMs };
  }

  return createQueue({ name: controller, workers, clock, metrics, work, onError });
}
