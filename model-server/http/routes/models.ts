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
import { checkModel, type ModelParams } from "../model-params.ts";
import type { RouteParts } from "../parts.ts";

type ModelRequest = FastifyRequest<ModelParams>;

/** What the Open Inference Protocol says of the server and its only model. */
export function modelRoutes(app: FastifyInstance, parts: RouteParts, done: () => void): void {
  const { config, versions, metrics } = parts;
  const { model: name } = config;

  function loaded({ params }: ModelRequest): Model {
    checkModel(config, params);
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
  app.get("/v2/models", () => ({ models: [name.name] }));
  app.get("/v2/models/stats", () => ({ model_stats: [statisticsOf(name, metrics.statistics)] }));
  for (const path of ["/v2/models/:name", "/v2/models/:name/versions/:version"]) {
    app.get(path, (request: ModelRequest) => metadataOf(name, loaded(request).signature));
    app.get(`${path}/config`, (request: ModelRequest) =>
      modelConfigOf(name, loaded(request).signature, config.batch.rows),
    );
    app.get(`${path}/stats`, (request: ModelRequest) => {
      checkModel(config, request.params);
      return { model_stats: [statisticsOf(name, metrics.statistics)] };
    });
    app.get(`${path}/ready`, { config: { isProbe: true } }, (request: ModelRequest, reply) => {
      checkModel(config, request.params);
      const { ready, reason } = parts.health();
      return reply
        .code(ready ? 200 : 503)
        .send({ name: name.name, ready, ...(!ready && { reason }) });
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
