import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import { discard } from "../../discard.ts";
import { invalidRequest, ServerError } from "../../errors.ts";
import { ImageError } from "../../images/image-error.ts";
import { hasLargeIntegers, readJson } from "../../protocol/json.ts";
import { readFiles } from "../../protocol/multipart.ts";
import { scoreBodyOf } from "../../protocol/score-body.ts";
import {
  needsExactNumbers,
  plainAnswer,
  readQuery,
  readScoreInput,
  scoreAnswer,
  type ScoreInput,
  type ScorePorts,
} from "../../protocol/score.ts";
import { createStages } from "../../stages.ts";
import { readBody } from "../body.ts";
import type { RouteParts } from "../parts.ts";
import { nameRelease } from "../release.ts";
import { signalOf } from "../request-signal.ts";

/** `POST /score`: the tutorial's form. */
export function scoreRoute(app: FastifyInstance, parts: RouteParts, done: () => void): void {
  const { config, metrics, budget, admission } = parts;
  const limits = { maxBytes: config.maxBodyBytes, budget };

  async function readInput(
    request: FastifyRequest,
    body: Buffer,
    ports: ScorePorts,
  ): Promise<ScoreInput> {
    const header = request.headers["content-type"];
    const type = header?.split(";")[0]?.trim().toLowerCase();
    if (type === "application/json") return readJsonInput(body, ports);
    if (type === undefined && body.length === 0) return readScoreInput(undefined, ports);
    if (type === "application/octet-stream" || type?.startsWith("image/")) {
      if (body.length > 0) return { kind: "images", images: [body] };
      throw new ServerError("IMAGE_INVALID", "the body is empty: send an image");
    }
    if (header !== undefined && type === "multipart/form-data") {
      const { files, fields } = await readFiles(body, header);
      return { kind: "images", images: files, fields };
    }
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
      const scores = served.score(input, top, signal, stages.add);
      return { input, scores: await scores.catch((error: unknown) => nameField(error, input)) };
    });
    const scored = performance.now();
    const total = scored - began;
    parts.recorder?.offer(
      body.length,
      () => requestOf(input, body, served.scorePorts),
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

/** Fails with the error; that of an image of a form names its field. */
function nameField(error: unknown, input: ScoreInput): never {
  if (!(error instanceof ImageError) || error.place === undefined) throw error;
  if (input.kind !== "images" || input.fields === undefined) throw error;
  throw error.at({ ...error.place, field: input.fields[error.place.index] });
}

function readJsonInput(body: Buffer, ports: ScorePorts): ScoreInput {
  if (body.length === 0) throw invalidRequest("the body is empty: send JSON or an image");
  return readScoreInput(readJson(body, "the body", { exact: needsExactNumbers(ports) }), ports);
}

/** The request as the JSON that asks for the same, with text for integers that most readers of JSON would change. */
function requestOf(input: ScoreInput, body: Buffer, ports: ScorePorts): unknown {
  if (input.kind === "images")
    return { input: input.images.map((image) => Buffer.from(image).toString("base64")) };
  if (!needsExactNumbers(ports) || !hasLargeIntegers(body.toString()))
    return readJson(body, "the body", { exact: false });
  // From the body: the run took the memory of its tensors.
  const again = readJsonInput(body, ports);
  if (again.kind === "tensors") return scoreBodyOf(again.tensors);
  const [name = ""] = ports.inputs.keys();
  return again.kind === "tensor" ? scoreBodyOf(new Map([[name, again.tensor]])) : undefined;
}
