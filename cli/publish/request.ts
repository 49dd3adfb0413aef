import { setTimeout as sleep } from "node:timers/promises";

import { RestError } from "@azure/storage-blob";

import { retryAfterMs } from "../../crds/grammar/retry-after.ts";
import { CliError, reasonOf } from "../errors.ts";
import { identityError } from "./credential.ts";
import type { Destination } from "./destination.ts";

export interface RequestLimits {
  /** A request that transfers no byte for this long is aborted and retried. */
  readonly stallMs: number;
  readonly attempts: number;
  /** The pause before the first retry; it doubles with each retry. */
  readonly pauseMs: number;
}

export interface Attempt {
  readonly abortSignal: AbortSignal;
  /** The request calls this whenever it has transferred bytes. */
  readonly onProgress: () => void;
}

export type Request = <T>(
  what: string,
  run: (attempt: Attempt) => Promise<T>,
  signal: AbortSignal,
) => Promise<T>;

/** Sends requests to one destination: retries stalled and transient failures, and translates all others to a CliError. */
export function requestsTo(
  destination: Destination,
  limits: RequestLimits,
  onRetry: (what: string, why: string, pauseMs: number) => void,
): Request {
  return async function request(what, run, signal) {
    for (let attempt = 1; ; attempt += 1) {
      const stalled = new AbortController();
      const timer = setTimeout(() => stalled.abort(), limits.stallMs);
      let failure: unknown;
      try {
        return await run({
          abortSignal: AbortSignal.any([signal, stalled.signal]),
          onProgress: () => timer.refresh(),
        });
      } catch (error) {
        failure = error;
      } finally {
        clearTimeout(timer);
      }
      signal.throwIfAborted();
      const why = stalled.signal.aborted
        ? `no data transferred for ${limits.stallMs / 1000} s`
        : reasonOf(failure);
      const retry = stalled.signal.aborted || isTransient(failure);
      if (!retry) throw storageError(failure, destination);
      if (attempt >= limits.attempts) throw unavailable(what, why, attempt, destination, failure);
      const pauseMs = waitOf(failure) ?? limits.pauseMs * 2 ** (attempt - 1);
      onRetry(what, why, pauseMs);
      await sleep(pauseMs, undefined, { signal });
    }
  };
}

/** Azure's error code. A HEAD response has it in the headers only. */
function storageCode(error: unknown): string | undefined {
  if (!(error instanceof RestError)) return undefined;
  return error.response?.headers.get("x-ms-error-code") ?? error.code;
}

export function isStatus(error: unknown, ...statuses: readonly number[]): boolean {
  return (
    error instanceof RestError &&
    error.statusCode !== undefined &&
    statuses.includes(error.statusCode)
  );
}

/** The blob exists. If another publisher committed it, Azure reports our staged blocks as an invalid list. */
export function isConflict(error: unknown): boolean {
  return isStatus(error, 409, 412) || storageCode(error) === "InvalidBlockList";
}

function isTransient(error: unknown): boolean {
  // A connection that breaks during the response body gives the socket's own error.
  if (!(error instanceof RestError)) return isSocketError(error);
  if (error.statusCode === undefined) return error.code !== "ENOTFOUND";
  return [408, 429, 500, 502, 503, 504].includes(error.statusCode);
}

function isSocketError(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  return /^(ECONNRESET|EPIPE|ETIMEDOUT|ERR_STREAM_PREMATURE_CLOSE)$/.test(String(error.code));
}

const MAX_RETRY_AFTER_MS = 60_000;

/** The wait that a response asks for, in milliseconds. */
function waitOf(error: unknown): number | undefined {
  if (!(error instanceof RestError)) return undefined;
  const header = (name: string): string | undefined => error.response?.headers.get(name);
  return retryAfterMs(
    { retryAfter: header("retry-after"), date: header("date") },
    MAX_RETRY_AFTER_MS,
  );
}

function unavailable(
  what: string,
  why: string,
  attempts: number,
  { host }: Destination,
  cause: unknown,
): CliError {
  return new CliError(
    "StorageUnavailable",
    `${what}: ${host} failed ${attempts} times, the last time with: ${why}`,
    "Run the same command again later: it skips the files that are already uploaded.",
    cause,
  );
}

function storageError(error: unknown, destination: Destination): unknown {
  if (error instanceof CliError) return error;
  if (
    error instanceof Error &&
    /^(CredentialUnavailable|AggregateAuthentication|Authentication)/.test(error.name)
  ) {
    return identityError(error);
  }
  if (!(error instanceof RestError)) return error;
  const { account, container, host } = destination;
  const code = storageCode(error) ?? "";
  if (code === "ContainerNotFound") {
    return new CliError(
      "ContainerNotFound",
      `The storage account ${account} has no container named ${container}`,
      `Create it: az storage container create --account-name ${account} --name ${container} --auth-mode login.`,
      error,
    );
  }
  if (isStatus(error, 401, 403)) {
    return new CliError(
      "StorageAuthFailed",
      `${host} refused access to the container ${container} (${code || error.statusCode})`,
      accessFix(code),
      error,
    );
  }
  const why = error.statusCode === undefined ? reasonOf(error) : `${error.statusCode} ${code}`;
  return new CliError(
    "StorageUnavailable",
    `${host} rejected the request: ${why}`,
    error.code === "ENOTFOUND"
      ? "Check the account's name in --to, and the network's DNS."
      : "Check the URL in --to; --verbose shows the response.",
    error,
  );
}

function accessFix(code: string): string {
  if (/PermissionMismatch|InsufficientAccountPermissions|AuthorizationFailure/.test(code)) {
    return "Grant the role Storage Blob Data Contributor on the container (a new role assignment takes minutes to take effect), or use a SAS token with read, create, write and list; check the account's network rules too.";
  }
  return "Check AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN: it is wrong, expired, or of another account.";
}
