import { RestError } from "@azure/storage-blob";

import { retryAfterMs } from "../../../crds/grammar/retry-after.ts";
import { ResponseTooLargeError } from "../../body.ts";
import { OperatorError } from "../../errors.ts";
import type { Identity } from "../identity.ts";
import { EntraTokenError } from "../bounded-credential.ts";
import { explainRefusal } from "./refusal.ts";

const MAX_RETRY_AFTER_MS = 3_600_000;
/** The wait after a refusal for load that has no Retry-After. */
const THROTTLED_MS = 10_000;

/**
 * The operator's error for any failure of the Blob SDK. Its message never holds the query of a URL, which may be a SAS
 * token.
 *
 * @param where what was read
 * @param identity what it was read with, where the caller knows it: to say what is wrong with it
 */
export function storageError(error: unknown, where: string, identity?: Identity): OperatorError {
  if (error instanceof OperatorError) return error;
  if (error instanceof Error && error.cause instanceof OperatorError) return error.cause;
  if (error instanceof RestError) return restError(error, where, identity);
  if (error instanceof ResponseTooLargeError) {
    return new OperatorError(
      "STORAGE_UNEXPECTED_RESPONSE",
      `unexpected response: ${error.message} for ${where}; check that spec.model.store is a Blob container`,
      { cause: error },
    );
  }
  if (error instanceof EntraTokenError) {
    return new OperatorError(
      error.refused ? "STORAGE_AUTH_FAILED" : "STORAGE_UNAVAILABLE",
      error.explain(where),
      { cause: error },
    );
  }
  // What the SDK's parser throws when it reads something else than it expects, or something that is nested too deeply.
  if (error instanceof TypeError || error instanceof RangeError) return unreadable(where, error);
  return unreachable(where, error);
}

function unreadable(where: string, cause: unknown): OperatorError {
  return new OperatorError(
    "STORAGE_UNEXPECTED_RESPONSE",
    `unexpected response: no answer of Blob Storage for ${where}, or one that cannot be parsed; check that spec.model.store is a Blob container`,
    { cause },
  );
}

/**
 * One message for a name that does not exist, a port that is closed, a certificate that is not trusted, and a host that
 * is no store: else an AIApp could scan the networks that the operator is in. Its log has the cause.
 */
function unreachable(where: string, cause: unknown): OperatorError {
  if (cause instanceof Error && /^(Abort|Timeout)Error$/.test(cause.name)) {
    return new OperatorError(
      "STORAGE_UNAVAILABLE",
      `${where} did not respond in time: check the network and the load of the store; retrying`,
      { cause },
    );
  }
  return new OperatorError(
    "STORAGE_UNAVAILABLE",
    `${where} cannot be reached: check the host, its certificate and the network; the log has the cause; retrying`,
    { cause },
  );
}

function restError(error: RestError, where: string, identity: Identity | undefined): OperatorError {
  const { statusCode: status, code = "", response, request } = error;
  if (code === RestError.PARSE_ERROR) return unreadable(where, undefined);
  // The message of the SDK's error may hold the URL, and with it a SAS token.
  if (status === undefined) return unreachable(where, new Error(withoutQueries(error.message)));
  const header = (name: string): string | undefined => response?.headers.get(name);
  const waitMs = retryAfterMs(
    { retryAfter: header("retry-after"), date: header("date") },
    MAX_RETRY_AFTER_MS,
  );
  if (status === 401 || status === 403 || code === "PublicAccessNotPermitted") {
    return new OperatorError(
      "STORAGE_AUTH_FAILED",
      `the store refuses the identity for ${where} (${status}${code && ` ${code}`}): ${explainRefusal(code, identity, header("date"))}`,
    );
  }
  if (status === 404) {
    return new OperatorError(
      "MODEL_NOT_FOUND",
      `${where} is not there (${code}): check spec.model.store and spec.model.name`,
    );
  }
  if (status === 412) {
    return new OperatorError(
      "MODEL_CHECKSUM_MISMATCH",
      `${where} was replaced while it was pulled: publish a new version instead`,
    );
  }
  if (status === 429 || (status === 503 && /busy|throttl/i.test(code))) {
    const wait = waitMs ?? THROTTLED_MS;
    return new OperatorError(
      "STORAGE_THROTTLED",
      `the store asks to slow down (${status} ${code}) for ${where}: reads of it pause for ${Math.ceil(wait / 1000)} s; if this lasts, raise spec.interval`,
      { retryAfterMs: wait },
    );
  }
  if (status >= 500) {
    return new OperatorError(
      "STORAGE_UNAVAILABLE",
      `${where} cannot be read (${status} ${code}): the operator retries`,
      { retryAfterMs: waitMs },
    );
  }
  const type = header("content-type")?.slice(0, 100);
  return new OperatorError(
    "STORAGE_UNEXPECTED_RESPONSE",
    `unexpected response: ${status} ${code}${type ? ` with ${type}` : ""} to ${request?.method ?? "GET"} ${where}; check that spec.model.store is a Blob container`,
  );
}

function withoutQueries(message: string): string {
  return message.replace(/\?\S*/g, "");
}
