import type { AddressInfo } from "node:net";

import { readBundle } from "./bundle/bundle.ts";
import { createAdmission } from "./admission.ts";
import { createBudget } from "./budget.ts";
import type { Config } from "./config.ts";
import { cores } from "./cores.ts";
import { createDrain } from "./drain.ts";
import type { Engine } from "./engine/engine.ts";
import { engineOf } from "./engine/from-config.ts";
import { messageOf, ServerError } from "./errors.ts";
import type { GrpcParts } from "./grpc/call.ts";
import type { GrpcServer } from "./grpc/server.ts";
import { createApp } from "./http/app.ts";
import { createConnections } from "./http/connections.ts";
import { healthOf } from "./health.ts";
import { createDecoder, type Decoder } from "./images/decoder.ts";
import { warmModel, type Model } from "./inference/model.ts";
import { checkSamples } from "./inference/samples.ts";
import { openKeys } from "./keys.ts";
import type { Logger } from "./log.ts";
import { createMetrics, serveMetrics, type Metrics } from "./metrics.ts";
import { metadataOf, type ModelMetadata } from "./protocol/description.ts";
import { createRecorder } from "./recorder/recorder.ts";
import type { Tracing } from "./tracing/tracing.ts";

export interface Server {
  readonly port: number;
  readonly metricsPort: number;
  /** Undefined where gRPC is off. */
  readonly grpcPort: number | undefined;
  /** Resolves when the model is loaded, checked and warm, or the server closed; rejects when the model cannot be served. */
  readonly loaded: Promise<void>;
  /** As `/v2/models/<name>` answers it; undefined until the model is loaded. */
  readonly metadata: () => ModelMetadata | undefined;
  /** Serves on until no request has come for a while, then ends. */
  readonly drain: () => Promise<void>;
  /** Ends as soon as the runs and the load in progress are done. */
  readonly close: () => Promise<void>;
}

const WARM_UP_TIMEOUT_MS = 10 * 60_000;

function cannotListen(variable: string, port: number, host: string, cause: unknown): ServerError {
  return new ServerError(
    "LISTEN_FAILED",
    `cannot listen on port ${port} of ${host} (${messageOf(cause)}): set another ${variable} or HOST, or end what listens there`,
    { cause },
  );
}

/** Its libraries are loaded only where it is on: they take as long as a small model. */
async function listenGrpc(
  parts: GrpcParts,
  port: number | undefined,
): Promise<GrpcServer | undefined> {
  if (port === undefined) return undefined;
  const { startGrpc } = await import("./grpc/server.ts");
  return startGrpc(parts, { host: parts.config.host, port });
}

/** Its libraries are loaded only where there is an endpoint: they take time and memory. */
async function openTracing(
  { tracing, model, release }: Config,
  version: string,
  log: Logger,
): Promise<Tracing | undefined> {
  if (tracing === undefined) return undefined;
  const otlp = await import("./tracing/otlp.ts");
  const attributes = {
    "service.name": model.name,
    ...(model.version !== "" && { "service.version": model.version }),
    ...(release !== "" && { "aiapp.release": release }),
    "aiapp.server.version": version,
  };
  return otlp.openTracing(tracing, { attributes, log, epoch: () => Date.now() });
}

function timed(decoder: Decoder, { addDecoding }: Metrics): Decoder {
  return {
    ...decoder,
    decode: async (...args) => {
      const began = performance.now();
      const tensor = await decoder.decode(...args);
      addDecoding(performance.now() - began);
      return tensor;
    },
  };
}

/** Listens at once, so that probes are answered, and loads the model meanwhile. @throws LISTEN_FAILED */
export async function startServer(
  config: Config,
  { log, versions }: { readonly log: Logger; readonly versions: Readonly<Record<string, string>> },
): Promise<Server> {
  let engine: Engine | undefined;
  let model: Model | undefined;
  let closing = false;
  const now = (): number => performance.now();
  const drain = createDrain(now);
  const decoder = createDecoder({ concurrency: cores(), maxWaiting: config.queue.requests });
  const metrics = createMetrics({
    model: config.model.name,
    version: config.model.version,
    pending: () => (engine?.waiting() ?? 0) + decoder.waiting(),
    epoch: () => Date.now(),
  });
  const keys = await openKeys(config.apiKeysFile, log);
  const recorder =
    config.recording &&
    (await createRecorder({ ...config.recording, log, now, epoch: () => Date.now() }));
  const tracing = await openTracing(config, versions["server"] ?? "", log);
  const parts = {
    config,
    recorder,
    tracing,
    keys,
    drain,
    connections: createConnections(drain, now),
    budget: createBudget(config.maxBodyBytesInFlight),
    admission: createAdmission({ ...config, now }),
    metrics,
    log,
    versions,
    model: () => model,
    health: () => healthOf(model, engine),
  };
  const app = createApp(parts);

  const { host, port, metricsPort, grpcPort } = config;
  await app.listen({ host, port }).catch((cause: unknown) => {
    throw cannotListen("PORT", port, host, cause);
  });
  const measured = await serveMetrics(metrics.registry, { host, port: metricsPort }).catch(
    async (cause: unknown) => {
      await app.close();
      throw cannotListen("METRICS_PORT", metricsPort, host, cause);
    },
  );
  const grpc = await listenGrpc(parts, grpcPort).catch(async (cause: unknown) => {
    await app.close();
    await measured.close();
    throw cannotListen("GRPC_PORT", grpcPort ?? 0, host, cause);
  });

  async function load(): Promise<void> {
    const began = performance.now();
    const bundle = await readBundle(config.model.folder, config.model.links);
    if (closing) return;
    engine = await engineOf(config, bundle, {
      onRun: metrics.addRun,
      onWorkerLost: (error) => log.error({ error }, "a worker died"),
    });
    // Closed meanwhile: nothing else would end its workers.
    if (closing) await engine.close();
    const signal = AbortSignal.timeout(WARM_UP_TIMEOUT_MS);
    const loading = await warmModel(
      {
        name: config.model.name,
        engine,
        bundle,
        decoder: timed(decoder, metrics),
        limits: config.batch,
      },
      signal,
    );
    await checkSamples(loading, bundle.samples, signal);
    model = loading;
    const ms = Math.round(performance.now() - began);
    log.info({ ms, workers: config.workers, samples: bundle.samples.length }, "ready");
  }

  async function close(): Promise<void> {
    closing = true;
    keys.close();
    await app.close();
    await measured.close();
    await grpc?.close();
    await engine?.close();
    await decoder.close();
    await recorder?.close();
    await tracing?.close();
    // A process that exits while a thread loads its model is aborted.
    await loaded.catch(() => {});
  }

  const loaded = load().catch(async (error: unknown) => {
    await engine?.close();
    if (!closing) throw error;
  });
  loaded.catch(() => {});
  return {
    port: (app.server.address() as AddressInfo).port,
    metricsPort: measured.port,
    grpcPort: grpc?.port,
    loaded,
    metadata: () => model && metadataOf(config.model, model.signature),
    drain: async () => {
      grpc?.drain(config.drainMaxMs);
      await drain.begin(config.drainQuietMs, config.drainMaxMs);
      log.info({ cut: drain.inFlight() }, "drained");
      await close();
    },
    close,
  };
}
