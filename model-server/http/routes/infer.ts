import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import { discard } from "../../discard.ts";
import { ServerError } from "../../errors.ts";
import type { Model } from "../../inference/model.ts";
import { inferRequested } from "../../inference/requested.ts";
import { splitBody } from "../../protocol/binary.ts";
import { encodeAnswer } from "../../protocol/infer-answer.ts";
import { rememberHeads } from "../../protocol/heads.ts";
import {
  readInferBody,
  readInferRequest,
  readRawTensor,
  type InferBody,
  type InferRequest,
} from "../../protocol/infer.ts";
import { isExact, readJson } from "../../protocol/json.ts";
import { checkModel } from "../../protocol/model-name.ts";
import { scoreBodyOf } from "../../protocol/score-body.ts";
import { DEFAULT_TOP, MAX_ROWS } from "../../protocol/score.ts";
import { createStages } from "../../stages.ts";
import { readBody } from "../body.ts";
import { compress } from "../compress.ts";
import type { ModelParams, RouteParts } from "../parts.ts";
import { nameRelease } from "../release.ts";
import { signalOf } from "../request-signal.ts";

const HEADER_LENGTH = "inference-header-content-length";
const LENGTH_HINT =
  "where raw values follow the JSON, the header Inference-Header-Content-Length must be the length of the JSON";

/** `POST /v2/models/<name>/infer` of the Open Inference Protocol, with the binary extension. */
export function inferRoutes(app: FastifyInstance, parts: RouteParts, done: () => void): void {
  const { config, metrics, budget, admission } = parts;
  const limits = { maxBytes: config.maxBodyBytes, budget };
  const readJsonOf = (json: Buffer): InferBody => {
    const inputs = parts.model()?.signature.inputs ?? [];
    const options = { exact: inputs.some(isExact), lengthHint: LENGTH_HINT };
    return readInferBody(readJson(json, "the body", options));
  };
  const readHead = rememberHeads(readJsonOf);

  function readRequest(
    body: Buffer,
    header: string | string[] | undefined,
    { signature }: Model,
  ): InferRequest {
    if (header === undefined) return readInferRequest(readJsonOf(body), Buffer.alloc(0));
    const { json, raw } = splitBody(body, String(header));
    return json.length === 0
      ? readRawTensor(raw, signature.inputs)
      : readInferRequest(readHead(json), raw);
  }

  async function infer(
    request: FastifyRequest<ModelParams>,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    checkModel(config.model, request.params);
    const model = parts.model();
    if (model === undefined)
      throw new ServerError("NOT_READY", "the model is being loaded: try again soon");
    const signal = signalOf(reply.raw, config.requestTimeoutMs);
    const body = await readBody(request.raw, reply.raw, limits);
    // A slow client does not make a slow server.
    const began = performance.now();
    const stages = createStages(request.trace?.addStage);
    const headerLength = request.headers[HEADER_LENGTH];
    const { wanted, outputs, rows, tensors } = await admission.admit(async () => {
      const wanted = readRequest(body, headerLength, model);
      stages.add({ kind: "decode", began, ended: performance.now() });
      return { wanted, ...(await inferRequested(model, wanted, signal, stages.add)) };
    });
    const inferred = performance.now();
    const { name, version } = config.model;
    const answer = encodeAnswer({ model: name, version, id: wanted.id }, outputs);
    if (answer.headerLength !== undefined) reply.header(HEADER_LENGTH, answer.headerLength);
    reply.type(answer.headerLength === undefined ? "application/json" : "application/octet-stream");
    const sent = await compress(request, reply, answer.body);
    const ended = performance.now();
    stages.add({ kind: "encode", began: inferred, ended });
    metrics.addRequest({ rows, total: ended - began, ...stages.sums() });
    if (tensors.has(model.scoring.output) && rows >= 1 && rows <= MAX_ROWS)
      parts.recorder?.offer(
        body.length,
        // From the body: the run took the memory of its tensors.
        () => scoreBodyOf(readRequest(body, headerLength, model).inputs),
        () => model.scoresOf(tensors, rows, DEFAULT_TOP),
        DEFAULT_TOP,
      );
    // The recorder reads it later.
    if (parts.recorder === undefined) discard(body);
    return reply.send(sent);
  }

  app.addHook("onRequest", nameRelease(config));
  const options = { config: { scores: true } };
  app.post("/v2/models/:name/infer", options, infer);
  app.post("/v2/models/:name/versions/:version/infer", options, infer);
  done();
}
