import { RestError } from "@azure/storage-blob";

import { retryAfterMs } from "../../../crds/grammar/retry-after.ts";
import { messageOf, OperatorError } from "../../errors.ts";
import { EntraTokenError } from "../workload-identity.ts";

const MAX_RETRY_AFTER_MS = 3_600_000;
/** The wait after a refusal for load that has no Retry-After. */
const THROTTLED_MS = 10_000;

/**
 * The operator's error for any failure of the Blob SDK. Its message never holds the query of a URL, which may be a SAS
 * token.
 *
 * @param where what was read
 */
export function storageError(error: unknown, where: string): OperatorError {
  if (error instanceof OperatorError) return error;
  if (error instanceof Error && error.cause instanceof OperatorError) return error.cause;
  if (error instanceof RestError) return restError(error, where);
  if (error instanceof EntraTokenError) {
    return new OperatorError(
      error.refused ? "STORAGE_AUTH_FAILED" : "STORAGE_UNAVAILABLE",
      error.explain(where),
      { cause: error },
    );
  }
  return new OperatorError(
    "STORAGE_UNAVAILABLE",
    `${where} cannot be read: ${messageOf(error)}; the operator retries`,
    { cause: error },
  );
}

function restError(error: RestError, where: string): OperatorError {
  const { statusCode: status, code = "", response, request } = error;
  if (status === undefined) {
    const detail = error.message.replace(/\?\S*/g, "");
    return new OperatorError(
      "STORAGE_UNAVAILABLE",
      `${where} cannot be read (${detail}): the operator retries`,
    );
  }
  const header = (name: string): string | undefined => response?.headers.get(name);
  const waitMs = retryAfterMs(
    { retryAfter: header("retry-after"), date: header("date") },
    MAX_RETRY_AFTER_MS,
  );
  if (status === 401 || status === 403 || code === "PublicAccessNotPermitted") {
    return new OperatorError(
      "STORAGE_AUTH_FAILED",
      `the store refuses the identity for ${where} (${status} ${code}): check the key or SAS token in the Secret, or the role Storage Blob Data Reader`,
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
