import type { Socket } from "node:net";

import type { FastifyReply, FastifyRequest } from "fastify";

import { ServerError, type ErrorCode } from "../errors.ts";
import type { RouteParts } from "./parts.ts";

/** Fastify's own errors, as ours. */
const known: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    "UNSUPPORTED_TYPE",
    "this content type is not supported: send application/json or image/png, image/jpeg, image/webp",
  ],
  FST_ERR_CTP_EMPTY_JSON_BODY: ["REQUEST_INVALID", "the body is empty: send JSON or an image"],
  FST_ERR_CTP_INVALID_JSON_BODY: ["REQUEST_INVALID", "the body is not JSON"],
  FST_ERR_BAD_URL: ["REQUEST_INVALID", "the path is not a valid URL"],
};

/** Any error as one of ours; a fault of the server keeps its cause to itself. */
export function serverErrorOf(error: unknown): ServerError {
  if (error instanceof ServerError) return error;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const found = typeof code === "string" ? known[code] : undefined;
  if (found !== undefined) return new ServerError(found[0], found[1], { cause: error });
  const status = error instanceof Error && "statusCode" in error ? Number(error.statusCode) : 500;
  return status >= 400 && status < 500
    ? new ServerError("REQUEST_INVALID", "the request is not valid", { cause: error })
    : new ServerError("INTERNAL", "a fault inside the server: see its log", { cause: error });
}

/** Errors are `{"error": "what happened, and what to do"}`, as in the Open Inference Protocol. */
export function answerError(
  { metrics, log }: RouteParts,
  cause: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const error = serverErrorOf(cause);
  if (request.routeOptions.config.scores === true)
    metrics.addFailure(error.code, reply.elapsedTime);
  request.trace?.fail(error.code);
  if (error.status === 500)
    log.error({ id: request.id, error: error.cause ?? error, url: request.url }, "request failed");
  if (error.status === 401) reply.header("www-authenticate", "Bearer");
  if (error.status === 503) reply.header("retry-after", "1");
  // What was not read of a body would be taken for the next request.
  if (!request.raw.complete) reply.header("connection", "close");
  void reply.code(error.status).send({ error: error.message });
}

/** A path that is no URL never reaches a route. */
export function answerFrameworkError(cause: Error, _: FastifyRequest, reply: FastifyReply): void {
  const error = serverErrorOf(cause);
  void reply.code(error.status).send({ error: error.message });
}

const clientErrors: Readonly<Record<string, readonly [number, string, string]>> = {
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large", "the headers are too large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout", "the request did not arrive in time"],
};
const MALFORMED = [400, "Bad Request", "the request is not valid HTTP/1.1"] as const;

/** What is no HTTP never becomes a request: the answer is written to the connection itself. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, phrase, message] = clientErrors[error.code ?? ""] ?? MALFORMED;
  const body = JSON.stringify({ error: message });
  socket.end(
    [
      `HTTP/1.1 ${status} ${phrase}`,
      "content-type: application/json; charset=utf-8",
      `content-length: ${Buffer.byteLength(body)}`,
      "connection: close",
      "",
      body,
    ].join("\r\n"),
  );
}
