import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";

import { readBounded, ResponseTooLargeError } from "../../body.ts";
import { retryOnConnectionReset, type Agents } from "../hosts.ts";
import { describeRequest, MAX_BODY_BYTES, type RegistryResponse } from "./response.ts";

export interface RegistryRequest {
  readonly method: "GET" | "HEAD" | "PUT";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

/** One request through agents that check addresses. Follows no redirect. @throws HOST_NOT_ALLOWED, ResponseTooLargeError */
export async function sendRequest(
  request: RegistryRequest,
  agents: Agents,
  signal: AbortSignal,
): Promise<RegistryResponse> {
  agents.check(request.url.hostname);
  return retryOnConnectionReset(() => sendOnce(request, agents, signal));
}

function sendOnce(
  { method, url, headers, body }: RegistryRequest,
  agents: Agents,
  signal: AbortSignal,
): Promise<RegistryResponse> {
  const insecure = url.protocol === "http:";
  return new Promise((resolve, reject) => {
    const request = (insecure ? httpRequest : httpsRequest)(
      url,
      { method, headers, signal, agent: insecure ? agents.http : agents.https },
      (response) => resolve(readResponse(method, url, response, agents)),
    );
    request.on("error", reject);
    request.end(body);
  });
}

async function readResponse(
  method: string,
  url: URL,
  response: IncomingMessage,
  { budget }: Agents,
): Promise<RegistryResponse> {
  const { statusCode: status = 0, headers } = response;
  const { bytes, whole } = await readBounded(response, MAX_BODY_BYTES, budget);
  if (!whole) throw new ResponseTooLargeError(url.host, MAX_BODY_BYTES);
  return {
    request: describeRequest(method, url),
    status,
    header: (name) => headers[name]?.toString(),
    text: bytes.toString("utf8"),
  };
}
