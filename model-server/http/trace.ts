import type { FastifyInstance, FastifyRequest } from "fastify";

import type { RequestTrace, Tracing } from "../tracing/tracing.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Of requests to routes that score, where traces are on. */
    trace?: RequestTrace;
  }
}

/** Traces the requests of routes that score, from those who may call. Nothing is done where traces are off. */
export function traceRequests(app: FastifyInstance, tracing: Tracing | undefined): void {
  if (tracing === undefined) return;
  // Behind the check of keys: without one no span is made.
  app.addHook("preHandler", (request, reply, next) => {
    if (request.routeOptions.config.scores !== true) {
      next();
      return;
    }
    const trace = tracing.begin({
      name: `${request.method} ${routeOf(request)}`,
      began: performance.now() - reply.elapsedTime,
      headers: request.headers,
      attributes: {
        "http.request.method": request.method,
        "http.route": routeOf(request),
        "url.scheme": "http",
        "aiapp.request_id": request.id,
      },
    });
    request.trace = trace;
    reply.raw.once("close", () => {
      if (!reply.raw.writableFinished) trace.fail("CLIENT_GONE");
      trace.end({
        "http.response.status_code": reply.raw.writableFinished ? reply.statusCode : 499,
      });
    });
    next();
  });
}

/** And not the path, which may hold what is no business of a trace. */
function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? "";
}
