import type { FastifyInstance, FastifyRequest } from "fastify";

import { z } from "zod";

import { ServerError } from "../../errors.ts";
import type { Model } from "../../inference/model.ts";
import {
  extensions,
  metadataOf,
  modelConfigOf,
  SERVER_NAME,
  statisticsOf,
} from "../../protocol/description.ts";
import { readJson } from "../../protocol/json.ts";
import { checkModel } from "../../protocol/model-name.ts";
import { readBody } from "../body.ts";
import type { ModelParams, RouteParts } from "../parts.ts";

type ModelRequest = FastifyRequest<ModelParams>;

/** What the Open Inference Protocol says of the server and its only model. */
export function modelRoutes(app: FastifyInstance, parts: RouteParts, done: () => void): void {
  const { config, versions, metrics } = parts;
  const { model: own } = config;

  function loaded({ params }: ModelRequest): Model {
    checkModel(own, params);
    const model = parts.model();
    if (model !== undefined) return model;
    throw new ServerError("NOT_READY", "the model is being loaded: try again soon");
  }

  const server = (): unknown => ({
    name: SERVER_NAME,
    version: versions["server"] ?? "",
    extensions,
  });
  app.get("/v2", server);
  app.get("/v2/", server);
  app.get("/v2/models", () => ({ models: [own.name] }));
  app.get("/v2/models/stats", () => ({ model_stats: [statisticsOf(own, metrics.statistics)] }));
  for (const path of ["/v2/models/:name", "/v2/models/:name/versions/:version"]) {
    app.get(path, (request: ModelRequest) => metadataOf(own, loaded(request).signature));
    app.get(`${path}/config`, (request: ModelRequest) =>
      modelConfigOf(own, loaded(request).signature, config.batch.rows),
    );
    app.get(`${path}/stats`, (request: ModelRequest) => {
      checkModel(own, request.params);
      return { model_stats: [statisticsOf(own, metrics.statistics)] };
    });
    app.get(`${path}/ready`, { config: { isProbe: true } }, (request: ModelRequest, reply) => {
      checkModel(own, request.params);
      const { ready, reason } = parts.health();
      return reply
        .code(ready ? 200 : 503)
        .send({ name: own.name, ready, ...(!ready && { reason }) });
    });
  }
  repositoryRoutes(app, parts);
  done();
}

export const IndexRequest = z.object({ ready: z.boolean().default(false) });

/** Whether only models that are ready are asked for. An empty body asks for all. @throws REQUEST_INVALID */
function readIndexRequest(body: Buffer): boolean {
  if (body.length === 0) return false;
  const parsed = IndexRequest.safeParse(readJson(body, "the body", { exact: false }));
  if (parsed.success) return parsed.data.ready;
  throw new ServerError("REQUEST_INVALID", 'the body must be {"ready": true}, {} or empty');
}

/** The server has one model for as long as it lives: a new version is a new process. */
function repositoryRoutes(app: FastifyInstance, parts: RouteParts): void {
  const { config, budget } = parts;
  const { name, version } = config.model;
  const limits = { maxBytes: config.maxBodyBytes, budget };
  app.post("/v2/repository/index", async (request, reply) => {
    const body = await readBody(request.raw, reply.raw, limits);
    const onlyReady = readIndexRequest(body);
    const { ready, reason = "" } = parts.health();
    const model = { name, version, state: ready ? "READY" : "UNAVAILABLE", reason };
    return onlyReady && !ready ? [] : [model];
  });
  for (const action of ["load", "unload"])
    app.post(`/v2/repository/models/:name/${action}`, () => {
      throw new ServerError(
        "UNSUPPORTED",
        "this server has one model: to serve another version, start another server",
      );
    });
}
