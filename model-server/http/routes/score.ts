import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import { ServerError } from "../../errors.ts";
import { checkJson } from "../../protocol/json.ts";
import {
  readQuery,
  readScoreInput,
  scoreAnswer,
  type ScoreInput,
  type ScorePorts,
} from "../../protocol/score.ts";
import { readBody } from "../body.ts";
import type { RouteParts } from "../parts.ts";
import { signalOf } from "../request-signal.ts";

/** `POST /score`: the tutorial's form. */
export function scoreRoute(app: FastifyInstance, parts: RouteParts, done: () => void): void {
  const { config, metrics, budget } = parts;
  const { name: model, version } = config.model;
  const limits = { maxBytes: config.maxBodyBytes, budget };
  // It refuses poisoned prototypes.
  const parser = app.getDefaultJsonParser("error", "error");

  function parseJson(request: FastifyRequest, body: Buffer): unknown {
    checkJson(body, "the body");
    let value: unknown;
    let failure: Error | null = null;
    void parser(request, body.toString("utf8"), (error, parsed) => {
      failure = error;
      value = parsed;
    });
    if (failure !== null) throw failure;
    return value;
  }

  function readInput(request: FastifyRequest, body: Buffer, ports: ScorePorts): ScoreInput {
    const type = request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
    if (type === "application/json") return readScoreInput(parseJson(request, body), ports);
    if (type === undefined && body.length === 0) return readScoreInput(undefined, ports);
    if (type === "application/octet-stream" || type?.startsWith("image/")) {
      if (body.length > 0) return { kind: "images", images: [body] };
      throw new ServerError("IMAGE_INVALID", "the body is empty: send an image");
    }
    throw new ServerError(
      "UNSUPPORTED_TYPE",
      "this content type is not supported: send application/json or image/png, image/jpeg, image/webp",
    );
  }

  async function score(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const began = performance.now();
    const served = parts.model();
    if (served === undefined)
      throw new ServerError("NOT_READY", "the model is being loaded: try again soon");
    const signal = signalOf(reply.raw, config.requestTimeoutMs);
    const body = await readBody(request.raw, reply.raw, limits);
    const input = readInput(request, body, served.scorePorts);
    const { top } = readQuery(request.query);
    const scores = await served.score(input, top, signal);
    const ms = performance.now() - began;
    metrics.succeeded.inc({ model, version });
    metrics.rows.inc({ model, version }, scores.length);
    metrics.seconds.observe({ model, version }, ms / 1000);
    return scoreAnswer(scores, ms);
  }

  app.addHook("onRequest", (_, reply, next) => {
    // Before the body is read: also an error names the release that answers.
    reply.header("aiapp-release", config.release).header("aiapp-model-version", version);
    next();
  });
  app.post("/score", { config: { scores: true } }, score);
  done();
}
