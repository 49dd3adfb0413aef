import { createDefaultHttpClient, isRestError, type HttpClient } from "@azure/core-rest-pipeline";

import { OperatorError, type ErrorCode } from "../errors.ts";
import { retryOnConnectionReset, type Agents } from "./hosts.ts";

/** The Azure SDK's HTTP client, on agents that check addresses, and without redirects that would forward a token. */
export function guardedHttpClient(agents: Agents): HttpClient {
  const inner = createDefaultHttpClient();
  return {
    sendRequest: async (request) => {
      const url = new URL(request.url);
      agents.check(url.hostname);
      request.agent = url.protocol === "https:" ? agents.https : agents.http;
      request.allowInsecureConnection = url.protocol === "http:";
      const response = await retryOnConnectionReset(() => inner.sendRequest(request)).catch(unwrap);
      // The SDK's redirect policy follows a Location header; neither the registry API nor Blob Storage needs one.
      if (response.status >= 300 && response.status < 400 && response.status !== 304) {
        response.headers.delete("location");
      }
      return response;
    },
  };
}

/** The SDK's client wraps an error of our agents in its own, and keeps only the code and the message. */
function unwrap(error: unknown): never {
  const ours: ErrorCode = "HOST_NOT_ALLOWED";
  if (isRestError(error) && error.code === ours)
    throw new OperatorError(ours, error.message, { cause: error });
  throw error;
}
