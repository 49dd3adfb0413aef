import { backoff, sleep, type Clock } from "../clock.ts";
import { isDiskError } from "./disk.ts";
import { storageError } from "../sources/model/storage-error.ts";

/** Retries of requests to the store: after a connection was cut, after a stall, and after an error that passes. */
export interface RetryOptions {
  /** A request that receives no byte for so long is aborted and sent again. */
  readonly stallMs: number;
  readonly clock: Clock;
  /** Prints a line of progress. */
  readonly say: (line: string) => void;
}

const MAX_ATTEMPTS = 8;
const BACKOFF_MS = { base: 250, max: 10_000 } as const;
const RETRYABLE: ReadonlySet<string> = new Set(["STORAGE_UNAVAILABLE", "STORAGE_THROTTLED"]);

/** Sends a small request, with retries. @throws the last error, as `storageError` translates it */
export async function withRetries<T>(
  send: (signal: AbortSignal) => Promise<T>,
  where: string,
  options: RetryOptions,
  signal: AbortSignal,
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await send(AbortSignal.any([signal, AbortSignal.timeout(options.stallMs)]));
    } catch (error) {
      await waitForRetry(error, failures, where, options, signal);
    }
  }
}

/** Waits until the next attempt. @throws the error, translated, when another attempt would not help */
export async function waitForRetry(
  error: unknown,
  failures: number,
  where: string,
  { clock, say }: RetryOptions,
  signal: AbortSignal,
): Promise<void> {
  // Another request would not help.
  if (isDiskError(error)) throw error;
  const translated = storageError(error, where);
  const canRetry = RETRYABLE.has(translated.code) && failures < MAX_ATTEMPTS;
  if (signal.aborted || !canRetry) throw translated;
  const delayMs =
    translated.retryAfterMs ?? backoff(failures, BACKOFF_MS.base, BACKOFF_MS.max, clock.random);
  say(`${translated.message} (attempt ${failures} of ${MAX_ATTEMPTS})`);
  await sleep(clock, delayMs, signal);
}
