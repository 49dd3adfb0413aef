import { createDefaultHttpClient, type HttpClient } from "@azure/core-rest-pipeline";

import { againWhenReset, type Agents } from "./hosts.ts";

/** Azure's own HTTP client, on connections that are checked, and without redirects that would carry a token away. */
export function guardedHttpClient(agents: Agents): HttpClient {
  const inner = createDefaultHttpClient();
  return {
    sendRequest: async (request) => {
      const url = new URL(request.url);
      agents.check(url.hostname);
      request.agent = url.protocol === "https:" ? agents.https : agents.http;
      request.allowInsecureConnection = url.protocol === "http:";
      const response = await againWhenReset(() => inner.sendRequest(request));
      // Azure's redirect policy follows a Location: there is none that a registry or a store should send.
      if (response.status >= 300 && response.status < 400 && response.status !== 304) {
        response.headers.delete("location");
      }
      return response;
    },
  };
}
