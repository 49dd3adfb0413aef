import { createDefaultHttpClient, isRestError, type HttpClient } from "@azure/core-rest-pipeline";

import { OperatorError, type ErrorCode } from "../errors.ts";
import { againWhenReset, type Agents } from "./hosts.ts";

/** Of our own errors, Azure's client keeps the code and the message. */
function unwrap(error: unknown): never {
  const ours: ErrorCode = "HOST_NOT_ALLOWED";
  if (isRestError(error) && error.code === ours)
    throw new OperatorError(ours, error.message, { cause: error });
  throw error;
}

/** Azure's own HTTP client, on connections that are checked, and without redirects that would carry a token away. */
export function guardedHttpClient(agents: Agents): HttpClient {
  const inner = createDefaultHttpClient();
  return {
    sendRequest: async (request) => {
      const url = new URL(request.url);
      agents.check(url.hostname);
      request.agent = url.protocol === "https:" ? agents.https : agents.http;
      request.allowInsecureConnection = url.protocol === "http:";
      const response = await againWhenReset(() => inner.sendRequest(request)).catch(unwrap);
      // Azure's redirect policy follows a Location: there is none that a registry or a store should send.
      if (response.status >= 300 && response.status < 400 && response.status !== 304) {
        response.headers.delete("location");
      }
      return response;
    },
  };
}
