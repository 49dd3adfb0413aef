import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import { discard } from "../../discard.ts";
import { ServerError } from "../../errors.ts";
import { readFiles } from "../../protocol/multipart.ts";
import {
  plainAnswer,
  readQuery,
  readScoreInput,
  scoreAnswer,
  type ScoreInput,
  type ScorePorts,
} from "../../protocol/score.ts";
import { createStages } from "../../stages.ts";
import { readBody } from "../body.ts";
import { createJsonParser } from "../json-parser.ts";
import type { RouteParts } from "../parts.ts";
import { nameRelease } from "../release.ts";
import { signalOf } from "../request-signal.ts";

/** `POST /score`: the tutorial's form. */
export function scoreRoute(app: FastifyInstance, parts: RouteParts, done: () => void): void {
  const { config, metrics, budget, admission } = parts;
  const limits = { maxBytes: config.maxBodyBytes, budget };
  const parseJson = createJsonParser(app);

  async function readInput(
    request: FastifyRequest,
    body: Buffer,
    ports: ScorePorts,
  ): Promise<ScoreInput> {
    const header = request.headers["content-type"];
    const type = header?.split(";")[0]?.trim().toLowerCase();
    if (type === "application/json") return readScoreInput(parseJson(request, body), ports);
    if (type === undefined && body.length === 0) return readScoreInput(undefined, ports);
    if (type === "application/octet-stream" || type?.startsWith("image/")) {
      if (body.length > 0) return { kind: "images", images: [body] };
      throw new ServerError("IMAGE_INVALID", "the body is empty: send an image");
    }
    if (header !== undefined && type === "multipart/form-data")
      return { kind: "images", images: await readFiles(body, header) };
    throw new ServerError(
      "UNSUPPORTED_TYPE",
      "this content type is not supported: send application/json, image/png, image/jpeg, image/webp or multipart/form-data",
    );
  }

  async function score(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const served = parts.model();
    if (served === undefined)
      throw new ServerError("NOT_READY", "the model is being loaded: try again soon");
    const signal = signalOf(reply.raw, config.requestTimeoutMs);
    const body = await readBody(request.raw, reply.raw, limits);
    // A slow client does not make a slow server.
    const began = performance.now();
    const { top, format } = readQuery(request.query);
    const stages = createStages(request.trace?.addStage);
    const { input, scores } = await admission.admit(async () => {
      const input = await readInput(request, body, served.scorePorts);
      stages.add({ kind: "decode", began, ended: performance.now() });
      return { input, scores: await served.score(input, top, signal, stages.add) };
    });
    const scored = performance.now();
    const total = scored - began;
    parts.recorder?.offer(
      body.length,
      () => requestOf(input, body),
      () => scores,
      top,
    );
    // The recorder reads it later.
    if (parts.recorder === undefined) discard(body);
    const answer =
      format === "plain" ? plainAnswer(scores, config.model, total) : scoreAnswer(scores, total);
    const text = JSON.stringify(answer);
    const ended = performance.now();
    stages.add({ kind: "encode", began: scored, ended });
    metrics.addRequest({ rows: scores.length, total: ended - began, ...stages.sums() });
    return reply.type("application/json; charset=utf-8").send(text);
  }

  app.addHook("onRequest", nameRelease(config));
  app.post("/score", { config: { scores: true } }, score);
  done();
}

/** The request as the JSON that asks for the same. */
function requestOf(input: ScoreInput, body: Buffer): unknown {
  if (input.kind !== "images") return JSON.parse(body.toString());
  return { input: input.images.map((image) => Buffer.from(image).toString("base64")) };
}
