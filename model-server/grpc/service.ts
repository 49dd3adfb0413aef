import type {
  ServerDuplexStream,
  ServerUnaryCall,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";

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
import { checkKey, unary, type Answering, type GrpcParts } from "./call.ts";
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

  /** For those who have a key: probes need none. */
  function guarded<Request extends object, Answer>(
    answer: Answering<Request, Answer>,
  ): ReturnType<typeof unary<Request, Answer>> {
    return unary(parts, (request: Request, call: ServerUnaryCall<Request, Answer>, id) => {
      checkKey(parts.keys, call.metadata);
      return answer(request, call, id);
    });
  }

  return {
    ServerLive: unary(parts, () => ({ live: parts.health().live })),
    ServerReady: unary(parts, () => ({ ready: parts.health().ready })),
    ModelReady: unary(parts, (request: ModelMessage) => {
      checkModel(own, request);
      return { ready: parts.health().ready };
    }),
    ServerMetadata: guarded(() => ({
      name: SERVER_NAME,
      version: versions["server"] ?? "",
      extensions,
    })),
    ModelMetadata: guarded((request: ModelMessage) => metadataOf(own, loaded(request).signature)),
    ModelConfig: guarded((request: ModelMessage) => ({
      config: modelConfigOf(own, loaded(request).signature, config.batch.rows),
    })),
    ModelStatistics: guarded((request: ModelMessage) => {
      // No name: of all models.
      if (request.name !== "") checkModel(own, request);
      return { model_stats: [statisticsOf(own, metrics.statistics)] };
    }),
    RepositoryIndex: guarded((request: { readonly ready: boolean }) => {
      const { ready, reason = "" } = parts.health();
      const model = { ...own, state: ready ? "READY" : "UNAVAILABLE", reason };
      return { models: request.ready && !ready ? [] : [model] };
    }),
    ModelInfer: guarded((request: InferMessage, call, id) =>
      inferMessage(parts, request, call, id),
    ),
    ModelStreamInfer: (call: ServerDuplexStream<InferMessage, StreamAnswer>) =>
      inferStream(parts, call),
  };
}
