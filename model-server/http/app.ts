import { maxHeaderSize } from "node:http";

import fastify, { type FastifyInstance } from "fastify";

import { allowOrigins } from "./cors.ts";
import { createClientErrors } from "./client-errors.ts";
import { answerError, answerFrameworkError } from "./errors.ts";
import { checkHead } from "./head.ts";
import type { RouteParts } from "./parts.ts";
import { REQUEST_ID, requestIdOf } from "./request-id.ts";
import { traceRequests } from "./trace.ts";
import { answerUnrouted } from "./unrouted.ts";
import { healthRoutes } from "./routes/health.ts";
import { homeRoute } from "./routes/home.ts";
import { inferRoutes } from "./routes/infer.ts";
import { modelRoutes } from "./routes/models.ts";
import { scoreRoute } from "./routes/score.ts";
import { openApiRoute } from "./routes/openapi.ts";
import { pageRoutes } from "./routes/page.ts";
import { versionRoute } from "./routes/version.ts";

/** Longer than load balancers keep an idle connection (Azure's four minutes): they are the ones to close it. */
const KEEP_ALIVE_MS = 300_000;
const HEADERS_MS = 10_000;
/** While a request is scored nothing moves on its connection. */
const SILENT_FACTOR = 2;
const CHECK_CONNECTIONS_MS = 1000;

function noCompiler(): never {
  throw new Error("a route has a schema: requests are checked by zod, in protocol/");
}

/** The HTTP interface. */
export function createApp(parts: RouteParts): FastifyInstance {
  const { config, drain, connections, log } = parts;
  const clientErrors = createClientErrors(maxHeaderSize, config.hasAccessLog ? log : undefined);
  const app = fastify({
    logger: false,
    bodyLimit: config.maxBodyBytes,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Of a connection with a request: one that does not take its answer holds its memory.
    connectionTimeout: SILENT_FACTOR * config.requestTimeoutMs,
    requestTimeout: config.requestTimeoutMs,
    http: {
      // Node.js swaps the two when the headers may take longer than the request.
      headersTimeout: Math.min(HEADERS_MS, config.requestTimeoutMs),
      connectionsCheckingInterval: CHECK_CONNECTIONS_MS,
      // `checkHead` refuses a request without it, and says why.
      requireHostHeader: false,
    },
    requestIdHeader: false,
    genReqId: requestIdOf,
    // The drain decides when to stop: until then every request is served.
    return503OnClosing: false,
    forceCloseConnections: true,
    // No route has a schema of the framework's: its compilers are not loaded, which take as long as a small model.
    schemaController: {
      compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler },
    },
    // No name is too long to be answered with a 404.
    routerOptions: { maxParamLength: maxHeaderSize },
    clientErrorHandler: clientErrors.answer,
    frameworkErrors: answerFrameworkError,
  });
  app.server.maxConnections = config.maxConnections;
  app.server.on("connect", clientErrors.refuseTunnel);
  // Otherwise Node.js answers without a word: see `checkHead`.
  app.server.on("checkExpectation", (request, response) => {
    app.server.emit("request", request, response);
  });

  // Routes read their bodies themselves, as bytes: fastify is to judge neither them nor their content types.
  for (const method of app.supportedMethods)
    app.addHttpMethod(method, { hasBody: false, overrideExisting: true });
  app.addHook("onRequest", (request, reply, done) => {
    const counts = request.routeOptions.config.isProbe !== true;
    connections.arrived(request.raw, reply.raw, counts);
    clientErrors.arrived(request);
    reply.header(REQUEST_ID, request.id);
    checkHead(request.raw);
    done();
  });
  allowOrigins(app, config.corsOrigins);
  // After the onRequest hooks, where browsers ask without a key whether they may call.
  app.addHook("preHandler", (request, _, next) => {
    const { isOpen = false, isProbe = false } = request.routeOptions.config;
    if (!isOpen && !isProbe) parts.keys.check(request.headers.authorization);
    next();
  });
  traceRequests(app, parts.tracing);
  if (config.hasAccessLog)
    app.addHook("onResponse", (request, reply, done) => {
      const { id, method, routeOptions } = request;
      const { statusCode: status, elapsedTime } = reply;
      const ms = Math.round(elapsedTime * 10) / 10;
      // The route and not the URL, which may hold what is no business of a log.
      log.info({ id, method, route: routeOptions.url, status, ms }, "request");
      done();
    });
  app.addHook("onSend", async (request, reply) => {
    if (drain.isDraining() && (await connections.closes(request.raw, reply.raw)))
      reply.header("connection", "close");
  });
  app.setErrorHandler((error, request, reply) => answerError(parts, error, request, reply));

  answerUnrouted(app);
  app.register(scoreRoute, parts);
  app.register(inferRoutes, parts);
  app.register(modelRoutes, parts);
  app.register(homeRoute, parts);
  if (config.hasPage) app.register(pageRoutes, parts);
  app.register(versionRoute, parts);
  app.register(openApiRoute, parts);
  app.register(healthRoutes, parts);
  return app;
}
