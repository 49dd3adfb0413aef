import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { z } from "zod";

import type { Config } from "../config.ts";
import { errors, ServerError } from "../errors.ts";
import { checkJson } from "../inference/json.ts";
import { readRequest, type Asked } from "../inference/request.ts";
import { DEFAULT_TOP, type Scorer } from "../inference/scorer.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Drain } from "./drain.ts";

export interface AppParts {
  readonly config: Config;
  readonly drain: Drain;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Undefined until the model is loaded and warm. */
  readonly scorer: () => Scorer | undefined;
  readonly isReady: () => boolean;
  readonly versions: Readonly<Record<string, string>>;
}

/** Longer than load balancers keep an idle connection (Azure's four minutes): they are the ones to close it. */
const KEEP_ALIVE_MS = 300_000;
const HEADERS_MS = 10_000;

const Query = z.object({ top: z.coerce.number().int().min(1).max(1000).default(DEFAULT_TOP) });

/** The HTTP interface: `POST /score`, health and version. */
export function createApp(parts: AppParts): FastifyInstance {
  const { config, drain, metrics } = parts;
  const { name: model, version } = config.model;
  const app = fastify({
    logger: false,
    bodyLimit: config.maxBodyBytes,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: config.requestTimeoutMs,
    http: { headersTimeout: HEADERS_MS },
    // Going is our own affair: what comes until the end is served.
    return503OnClosing: false,
    forceCloseConnections: true,
  });

  app.removeContentTypeParser("text/plain");
  // Fastify's own parser, which also refuses poisoned prototypes, behind a check of what the text would become.
  const parseJson = app.getDefaultJsonParser("error", "error");
  app.addContentTypeParser<Buffer>(
    "application/json",
    { parseAs: "buffer" },
    (request, body, done) => {
      checkJson(body, "the body");
      return parseJson(request, body.toString("utf8"), done);
    },
  );
  app.addContentTypeParser(/^image\//, { parseAs: "buffer" }, (_, body, done) => done(null, body));
  app.addContentTypeParser("application/octet-stream", { parseAs: "buffer" }, (_, body, done) =>
    done(null, body),
  );
  app.addHook("onRequest", (request, reply, done) => {
    drain.arrived(request.raw, reply.raw, isHealth(request));
    done();
  });
  app.addHook("onSend", async (request, reply) => {
    if (await drain.closes(request.raw, reply.raw)) reply.header("connection", "close");
  });
  app.setErrorHandler((error, request, reply) => answerError(parts, error, request, reply));
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({
      error: `there is no ${request.method} ${request.url.slice(0, 200)}: POST /score scores, GET /version tells what serves`,
    }),
  );

  // Before the body is read: also a refusal names who refused.
  const onRequest = (_: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    reply.header("aiapp-release", config.release).header("aiapp-model-version", version);
    done();
  };
  app.post("/score", { onRequest }, async (request, reply) => {
    const began = performance.now();
    const scorer = parts.scorer();
    if (scorer === undefined)
      throw new ServerError("OVERLOADED", "the model is still being loaded: try again soon");
    const asked = askedOf(request);
    const { top } = queryOf(request);
    const gone = new AbortController();
    reply.raw.once("close", () => gone.abort());
    const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(config.requestTimeoutMs)]);
    const scores = await scorer.score(asked, top, signal);
    const ms = performance.now() - began;
    metrics.succeeded.inc({ model, version });
    metrics.rows.inc({ model, version }, scores.length);
    metrics.seconds.observe({ model, version }, ms / 1000);
    return { result: [scores, `Computed in ${ms.toFixed(ms < 10 ? 1 : 0)} ms`] };
  });

  app.get("/", () => ({ status: parts.isReady() ? "ready" : "loading", model, version }));
  app.get("/version", () => ({
    ...parts.versions,
    model: { name: model, version, digest: config.model.digest },
    release: config.release,
    ...(config.build !== "" && { build: config.build }),
  }));
  app.get("/v2/health/live", () => ({ live: true }));
  app.get("/v2/health/ready", (_, reply) => {
    const ready = parts.isReady();
    return reply.code(ready ? 200 : 503).send({ ready });
  });
  return app;
}

function isHealth(request: FastifyRequest): boolean {
  return request.url.startsWith("/v2/health/");
}

function askedOf(request: FastifyRequest): Asked {
  const { body } = request;
  if (Buffer.isBuffer(body)) {
    if (body.length === 0)
      throw new ServerError("IMAGE_INVALID", "the body is empty: send a picture");
    return { kind: "pictures", pictures: [body] };
  }
  return readRequest(body);
}

function queryOf(request: FastifyRequest): z.infer<typeof Query> {
  const parsed = Query.safeParse(request.query);
  if (!parsed.success)
    throw new ServerError("REQUEST_INVALID", "top must be a number from 1 to 1000");
  return parsed.data;
}

/** Errors are `{"error": "what was wrong, and what to do"}`, as in the Open Inference Protocol. */
function answerError(
  { config, metrics, log }: AppParts,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const { name: model, version } = config.model;
  const { status, message, reason } = describe(error, config);
  if (request.url.startsWith("/score")) metrics.failed.inc({ model, version, reason });
  if (status === 500) log.error({ error, url: request.url }, "request failed");
  if (status === 503) reply.header("retry-after", "1");
  void reply.code(status).send({ error: message });
}

function describe(
  error: unknown,
  config: Config,
): { readonly status: number; readonly message: string; readonly reason: string } {
  if (error instanceof ServerError)
    return { status: error.status, message: error.message, reason: error.code };
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const known: Readonly<Record<string, readonly [number, string]>> = {
    FST_ERR_CTP_BODY_TOO_LARGE: [413, `the body is larger than ${config.maxBodyBytes} bytes`],
    FST_ERR_CTP_INVALID_MEDIA_TYPE: [
      errors.UNSUPPORTED_TYPE.status,
      "this content type is not scored: send application/json or image/png, image/jpeg, image/webp",
    ],
    FST_ERR_CTP_EMPTY_JSON_BODY: [400, "the body is empty: send JSON or a picture"],
    FST_ERR_CTP_INVALID_JSON_BODY: [400, "the body is not JSON"],
    FST_ERR_CTP_INVALID_CONTENT_LENGTH: [400, "the body's length differs from its Content-Length"],
  };
  const found = typeof code === "string" ? known[code] : undefined;
  if (found !== undefined)
    return { status: found[0], message: found[1], reason: "REQUEST_INVALID" };
  const status = error instanceof Error && "statusCode" in error ? Number(error.statusCode) : 500;
  return status >= 400 && status < 500
    ? { status, message: "the request cannot be understood", reason: "REQUEST_INVALID" }
    : {
        status: 500,
        message: "something went wrong inside the server: see its log",
        reason: "INTERNAL",
      };
}
