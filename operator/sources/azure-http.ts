import {
  createDefaultHttpClient,
  isRestError,
  type HttpClient,
  type PipelineRequest,
} from "@azure/core-rest-pipeline";

import { readBounded, ResponseTooLargeError } from "../body.ts";
import { OperatorError, type ErrorCode } from "../errors.ts";
import { retryOnConnectionReset, type Agents } from "./hosts.ts";

/**
 * The Azure SDK's HTTP client, on agents that check addresses, without redirects that would forward a token, and with
 * bounded bodies: the SDK's own parser gets none that is longer. A download stays a stream, for its caller to bound.
 *
 * @param signalOf the signal of a request that the SDK sends without one. @throws ResponseTooLargeError
 */
export function guardedHttpClient(
  agents: Agents,
  maxBytes: number,
  signalOf: () => AbortSignal | undefined = () => undefined,
): HttpClient {
  const inner = createDefaultHttpClient();
  return {
    sendRequest: async (request) => {
      const url = new URL(request.url);
      agents.check(url.hostname);
      request.agent = url.protocol === "https:" ? agents.https : agents.http;
      request.allowInsecureConnection = url.protocol === "http:";
      const signal = request.abortSignal ?? signalOf();
      if (signal !== undefined) request.abortSignal = signal;
      const response = await streamed(request, () => inner.sendRequest(request));
      // The SDK's redirect policy follows a Location header; neither the registry API nor Blob Storage needs one.
      if (response.status >= 300 && response.status < 400 && response.status !== 304) {
        response.headers.delete("location");
      }
      if (request.streamResponseStatusCodes?.has(response.status)) return response;
      const { readableStreamBody, ...rest } = response;
      const { bytes, whole } = await readBounded(readableStreamBody, maxBytes, agents.budget);
      if (!whole) throw new ResponseTooLargeError(url.host, maxBytes);
      return { ...rest, bodyAsText: bytes.toString("utf8") };
    },
  };
}

/** Sends a request with a response as a stream, whatever its status: the SDK would read a body of any length. */
async function streamed<T>(request: PipelineRequest, send: () => Promise<T>): Promise<T> {
  const wanted = request.streamResponseStatusCodes;
  request.streamResponseStatusCodes = new Set([Number.POSITIVE_INFINITY]);
  try {
    return await retryOnConnectionReset(send).catch(unwrap);
  } finally {
    // What parses the response afterwards looks at it again.
    if (wanted === undefined) delete request.streamResponseStatusCodes;
    else request.streamResponseStatusCodes = wanted;
  }
}

/** The SDK's client wraps an error of our agents in its own, and keeps only the code and the message. */
function unwrap(error: unknown): never {
  const ours: ErrorCode = "HOST_NOT_ALLOWED";
  if (isRestError(error) && error.code === ours)
    throw new OperatorError(ours, error.message, { cause: error });
  throw error;
}
