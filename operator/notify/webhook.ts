import type { IncomingMessage } from "node:http";

import { retryAfterMs } from "../../crds/grammar/retry-after.ts";
import { isOperatorError, OperatorError } from "../errors.ts";
import { openRequest, schemeOf, type Agents, type HostPolicy } from "../sources/hosts.ts";

export interface WebhookRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Posts to a webhook. Any status of 2xx means that it took the request; no redirect is followed, and the body of a
 * response is not read. Messages of errors name neither the URL nor its host: both are in a Secret.
 *
 * @throws NOTIFICATION_FAILED, HOST_NOT_ALLOWED
 */
export type SendWebhook = (request: WebhookRequest, signal: AbortSignal) => Promise<void>;

/** The longest wait that a Retry-After gets. */
const MAX_RETRY_AFTER_MS = 10 * 60_000;

/** Of the hosts that sources may have, too. */
export function createWebhookSender(policy: HostPolicy, agents: Agents): SendWebhook {
  return async (request, signal) => {
    const { protocol, host } = request.url;
    if (protocol !== "https:" && schemeOf(host, policy) !== "http") {
      throw new OperatorError(
        "HOST_NOT_ALLOWED",
        "the URL of the webhook does not begin with https://: use a webhook with TLS",
      );
    }
    let response: IncomingMessage;
    try {
      const { url, body } = request;
      const headers = { ...request.headers, "content-length": String(Buffer.byteLength(body)) };
      response = await openRequest({ method: "POST", url, headers, body }, agents, signal);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw unreachable(error);
    }
    response.destroy();
    const { statusCode = 0, headers } = response;
    if (statusCode >= 200 && statusCode < 300) return;
    const { "retry-after": retryAfter, date } = headers;
    throw new OperatorError("NOTIFICATION_FAILED", `the webhook ${describe(statusCode)}`, {
      retryAfterMs: retryAfterMs({ retryAfter, date }, MAX_RETRY_AFTER_MS),
    });
  };
}

function describe(status: number): string {
  if (status >= 300 && status < 400)
    return `redirects (status ${status}), which the operator does not follow: put the URL that it redirects to into the Secret`;
  if (status === 401 || status === 403)
    return `denies access (status ${status}): renew the URL or the token in the Secret`;
  if (status === 404 || status === 410)
    return `no longer exists (status ${status}): create a new one, and put its URL into the Secret`;
  if (status === 429) return `throttles the operator (status 429)`;
  if (status >= 500) return `responds with status ${status}: see its own logs`;
  return `rejects the notification (status ${status}): check that the type of the notification fits the webhook`;
}

function unreachable(error: unknown): OperatorError {
  if (isOperatorError(error, "HOST_NOT_ALLOWED")) {
    const message =
      "the URL of the webhook names an address that is not allowed (loopback, link-local, metadata, reserved, or in the operator's deniedNetworks): use a webhook outside these networks";
    return new OperatorError("HOST_NOT_ALLOWED", message);
  }
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  // Codes of Node.js and OpenSSL; anything else might quote the URL.
  const cause = /^[A-Z][A-Z0-9_]{2,60}$/.test(code) ? ` (${code})` : "";
  return new OperatorError(
    "NOTIFICATION_FAILED",
    `the webhook cannot be reached${cause}: check the host in the Secret's URL, its certificate, and the network policies of the operator`,
  );
}
