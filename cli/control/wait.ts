import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import { CliError } from "../errors.ts";

export interface Waiting {
  readonly timeoutMs: number;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Called before each read but the first. Milliseconds since the beginning. */
  readonly onWait: (elapsedMs: number) => void;
}

/** One GET a second is cheap for the API server, and a watch that it drops needs no handling of its own. */
const POLL_MS = 1_000;

/**
 * Reads the AIApp until the operator has acted on a request. Reads go on while the API server is unavailable. Returns
 * undefined after the timeout.
 */
export async function waitForAnswer(
  read: (signal: AbortSignal) => Promise<AIApp>,
  isAnswered: (app: AIApp) => boolean,
  { timeoutMs, now, sleep, onWait }: Waiting,
  signal: AbortSignal,
): Promise<AIApp | undefined> {
  const began = now();
  for (;;) {
    try {
      const app = await read(signal);
      if (isAnswered(app)) return app;
    } catch (error) {
      if (!(error instanceof CliError) || error.code !== "ClusterUnavailable") throw error;
    }
    const elapsed = now() - began;
    if (elapsed >= timeoutMs) return undefined;
    onWait(elapsed);
    await sleep(Math.min(POLL_MS, timeoutMs - elapsed), signal);
  }
}
