import type { ServerDuplexStream, UntypedServiceImplementation } from "@grpc/grpc-js";

import { ServerError } from "../errors.ts";
import type { Model } from "../inference/model.ts";
import {
  extensions,
  metadataOf,
  modelConfigOf,
  SERVER_NAME,
  statisticsOf,
} from "../protocol/description.ts";
import { checkModel } from "../protocol/model-name.ts";
import { unary, type GrpcParts } from "./call.ts";
import { inferMessage, inferStream, type StreamAnswer } from "./infer.ts";
import type { InferMessage, ModelMessage } from "./messages.ts";

/** The methods of `inference.GRPCInferenceService`. */
export function inferenceService(parts: GrpcParts): UntypedServiceImplementation {
  const { config, versions, metrics } = parts;
  const { model: own } = config;

  function loaded(request: ModelMessage): Model {
    checkModel(own, request);
    const model = parts.model();
    if (model !== undefined) return model;
    throw new ServerError("NOT_READY", "the model is being loaded: try again soon");
  }

  return {
    ServerLive: unary(parts, () => ({ live: parts.health().live })),
    ServerReady: unary(parts, () => ({ ready: parts.health().ready })),
    ModelReady: unary(parts, (request: ModelMessage) => {
      checkModel(own, request);
      return { ready: parts.health().ready };
    }),
    ServerMetadata: unary(parts, () => ({
      name: SERVER_NAME,
      version: versions["server"] ?? "",
      extensions,
    })),
    ModelMetadata: unary(parts, (request: ModelMessage) =>
      metadataOf(own, loaded(request).signature),
    ),
    ModelConfig: unary(parts, (request: ModelMessage) => ({
      config: modelConfigOf(own, loaded(request).signature, config.batch.rows),
    })),
    ModelStatistics: unary(parts, (request: ModelMessage) => {
      // No name: of all models.
      if (request.name !== "") checkModel(own, request);
      return { model_stats: [statisticsOf(own, metrics.statistics)] };
    }),
    RepositoryIndex: unary(parts, (request: { readonly ready: boolean }) => {
      const { ready, reason = "" } = parts.health();
      const model = { ...own, state: ready ? "READY" : "UNAVAILABLE", reason };
      return { models: request.ready && !ready ? [] : [model] };
    }),
    ModelInfer: unary(parts, (request: InferMessage, call) => inferMessage(parts, request, call)),
    ModelStreamInfer: (call: ServerDuplexStream<InferMessage, StreamAnswer>) =>
      inferStream(parts, call),
  };
}
