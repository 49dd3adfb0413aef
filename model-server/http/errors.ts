import type { IncomingMessage } from "node:http";

import type { FastifyReply, FastifyRequest } from "fastify";

import { ServerError, type ErrorCode } from "../errors.ts";
import type { RouteParts } from "./parts.ts";
import { REQUEST_ID } from "./request-id.ts";

/** Fastify's own errors, as ours. */
const known: Readonly<Record<string, readonly [ErrorCode, string]>> = {
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
  if (error.status === 417 || (hasBody(request.raw) && !request.raw.complete))
    reply.header("connection", "close");
  sendError(reply, error);
}

/** Without a charset, which JSON has none of: KServe's client shows the messages of exactly this type. */
function sendError(reply: FastifyReply, { status, message }: ServerError): void {
  // Fastify adds one to text.
  const body = Buffer.from(JSON.stringify({ error: message }));
  void reply.code(status).header("content-type", "application/json").send(body);
}

/** A request without one is not complete either before its handlers return. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/** A path that is no URL never reaches a route, nor the hooks. */
export function answerFrameworkError(
  cause: Error,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const error = serverErrorOf(cause);
  sendError(reply.header(REQUEST_ID, request.id), error);
}
