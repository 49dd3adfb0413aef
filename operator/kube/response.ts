import { retryAfterMs as parseRetryAfter } from "../../crds/grammar/retry-after.ts";
import { OperatorError } from "../errors.ts";

const MAX_MESSAGE = 2000;
const MAX_RETRY_AFTER_MS = 300_000;

/** A response that is larger than may be held in memory: a list must be requested in smaller pages. */
export class ResponseTooLargeError extends OperatorError {
  constructor(what: string, maxBytes: number) {
    super("KUBE_UNEXPECTED_RESPONSE", `${what}: the response is larger than ${maxBytes} bytes`);
  }
}

/** The project's error for a response of the API server that is no success. */
export function errorOf(
  status: number,
  method: string,
  path: string,
  message: string,
  retryAfter: string | null = null,
): OperatorError {
  const what = `${method} ${path}: ${status} ${message}`.slice(0, MAX_MESSAGE);
  // The API server writes seconds. A proxy's date would need its Date header: a second is a start.
  const retryAfterMs =
    retryAfter === null
      ? undefined
      : (parseRetryAfter({ retryAfter, date: undefined }, MAX_RETRY_AFTER_MS) ?? 1000);
  // Server-side apply responds so to an object that does not fit its schema or its Go type (a quantity such as "much").
  if (
    status === 500 &&
    (message.includes("failed to create typed patch object") ||
      message.includes("unable to convert unstructured object"))
  )
    return new OperatorError("KUBE_INVALID", what);
  // Another object has taken the name: an apply that names a uid is refused so, others with 409.
  if (status === 422 && /metadata\.uid: Invalid value: .*field is immutable/.test(message))
    return new OperatorError("KUBE_CONFLICT", what);
  // A webhook that cannot be called refuses just as one that says no.
  if (status === 500 && message.includes("failed calling webhook"))
    return new OperatorError("KUBE_FORBIDDEN", what);
  switch (status) {
    case 400:
    case 422:
      return new OperatorError("KUBE_INVALID", what);
    case 401:
    case 403:
      return new OperatorError("KUBE_FORBIDDEN", what);
    case 404:
      return new OperatorError("KUBE_NOT_FOUND", what);
    case 409:
      return new OperatorError("KUBE_CONFLICT", what);
    case 410:
      return new OperatorError("KUBE_GONE", what);
    case 429:
      return new OperatorError("KUBE_THROTTLED", what, { retryAfterMs });
    default:
      return new OperatorError(
        status >= 500 ? "KUBE_UNAVAILABLE" : "KUBE_UNEXPECTED_RESPONSE",
        what,
        {
          retryAfterMs,
        },
      );
  }
}

/** The project's error for a request without a response. */
export function unavailable(method: string, path: string, cause: unknown): OperatorError {
  // fetch says "fetch failed" and keeps the reason in the cause.
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  if (inner instanceof Error && inner.name === "TimeoutError") {
    return new OperatorError("KUBE_TIMEOUT", `${method} ${path}: no response in time`, { cause });
  }
  // An address that refuses on IPv4 and IPv6 both gives an AggregateError without a message.
  const detail =
    inner instanceof Error
      ? inner.message || ("code" in inner ? String(inner.code) : inner.name)
      : String(inner);
  return new OperatorError("KUBE_UNAVAILABLE", `${method} ${path}: ${detail}`, { cause });
}

/** The message of a `v1.Status`, or the start of another body. */
export function messageIn(text: string): string {
  try {
    const status: unknown = JSON.parse(text);
    if (typeof status === "object" && status !== null && "message" in status)
      return String(status.message);
  } catch {
    // Not JSON: the response is a proxy's.
  }
  return text.slice(0, 500);
}

/** Splits a stream into lines, none longer than `maxLength` characters. */
export async function* linesOf(
  body: AsyncIterable<Uint8Array> | null,
  maxLength: number,
  where: string,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body ?? []) {
    const parts = decoder.decode(chunk, { stream: true }).split("\n");
    parts[0] = rest + (parts[0] ?? "");
    rest = parts.pop() ?? "";
    if (rest.length > maxLength) {
      throw new OperatorError(
        "KUBE_UNEXPECTED_RESPONSE",
        `${where}: an event is larger than ${maxLength} characters`,
      );
    }
    for (const part of parts) if (part.length > 0) yield part;
  }
}
