import type { IncomingMessage } from "node:http";

import { readBounded, ResponseTooLargeError } from "../../body.ts";
import { openRequest, retryOnConnectionReset, type Agents, type HostRequest } from "../hosts.ts";
import { describeRequest, MAX_BODY_BYTES, type RegistryResponse } from "./response.ts";

export interface RegistryRequest extends HostRequest {
  readonly method: "GET" | "HEAD" | "PUT";
}

/** One request through agents that check addresses. Follows no redirect. @throws HOST_NOT_ALLOWED, ResponseTooLargeError */
export async function sendRequest(
  request: RegistryRequest,
  agents: Agents,
  signal: AbortSignal,
): Promise<RegistryResponse> {
  const { method, url } = request;
  return retryOnConnectionReset(async () =>
    readResponse(method, url, await openRequest(request, agents, signal), agents),
  );
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
