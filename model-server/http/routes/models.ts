import type { FastifyInstance, FastifyRequest } from "fastify";

import { ServerError } from "../../errors.ts";
import type { Model } from "../../inference/model.ts";
import {
  extensions,
  metadataOf,
  modelConfigOf,
  SERVER_NAME,
  statisticsOf,
} from "../../protocol/description.ts";
import { checkModel } from "../../protocol/model-name.ts";
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

/** The server has one model for as long as it lives: a new version is a new process. */
function repositoryRoutes(app: FastifyInstance, parts: RouteParts): void {
  const { name, version } = parts.config.model;
  app.post("/v2/repository/index", () => {
    const { ready, reason = "" } = parts.health();
    return [{ name, version, state: ready ? "READY" : "UNAVAILABLE", reason }];
  });
  for (const action of ["load", "unload"])
    app.post(`/v2/repository/models/:name/${action}`, () => {
      throw new ServerError(
        "UNSUPPORTED",
        "this server has one model: to serve another version, start another server",
      );
    });
}
