import type { AddressInfo } from "node:net";

import { readBundle } from "./bundle/bundle.ts";
import { cores, type Config } from "./config.ts";
import { createEngine, type Engine } from "./engine/engine.ts";
import { ServerError } from "./errors.ts";
import { createApp } from "./http/app.ts";
import { createDrain } from "./http/drain.ts";
import { createScorer, type Scorer } from "./inference/scorer.ts";
import type { Logger } from "./log.ts";
import { createMetrics, serveMetrics } from "./metrics.ts";

export interface Server {
  readonly port: number;
  readonly metricsPort: number;
  /** Resolves when the model is loaded, checked and warm, or the server closed; rejects when it cannot be served. */
  readonly loaded: Promise<void>;
  /** Serves on until nobody asks any more, then ends. */
  readonly drain: () => Promise<void>;
  /** Ends as soon as what runs or loads is done. */
  readonly close: () => Promise<void>;
}

const WARM_UP_TIMEOUT_MS = 10 * 60_000;

function cannotListen(variable: string, port: number, host: string, cause: unknown): ServerError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ServerError(
    "LISTEN_FAILED",
    `cannot listen on port ${port} of ${host} (${reason}): set another ${variable} or HOST, or end what listens there`,
    { cause },
  );
}

/** Listens at once, so that probes are answered, and loads the model meanwhile. @throws LISTEN_FAILED */
export async function startServer(
  config: Config,
  { log, versions }: { readonly log: Logger; readonly versions: Readonly<Record<string, string>> },
): Promise<Server> {
  let engine: Engine | undefined;
  let scorer: Scorer | undefined;
  let closing = false;
  const drain = createDrain(() => performance.now());
  const metrics = createMetrics(() => engine?.waiting() ?? 0);
  const isReady = (): boolean => scorer !== undefined && engine?.isReady() === true;
  const app = createApp({ config, drain, metrics, log, versions, scorer: () => scorer, isReady });

  const { host, port, metricsPort } = config;
  await app.listen({ host, port }).catch((cause: unknown) => {
    throw cannotListen("PORT", port, host, cause);
  });
  const measured = await serveMetrics(metrics.registry, { host, port: metricsPort }).catch(
    async (cause: unknown) => {
      await app.close();
      throw cannotListen("METRICS_PORT", metricsPort, host, cause);
    },
  );

  async function load(): Promise<void> {
    const began = performance.now();
    const bundle = await readBundle(config.model.folder);
    if (closing) return;
    engine = await createEngine({
      modelFile: bundle.modelFile,
      workers: config.workers,
      threads: Math.max(1, Math.floor(cores() / config.workers)),
      maxQueue: config.maxQueue,
      onWorkerLost: (error) => log.error({ error }, "a worker thread died"),
    });
    // Closed meanwhile: nobody else would end its threads.
    if (closing) await engine.close();
    const loading = createScorer(engine, bundle);
    await loading.warmUp(bundle.samples, AbortSignal.timeout(WARM_UP_TIMEOUT_MS));
    scorer = loading;
    const ms = Math.round(performance.now() - began);
    log.info({ ms, workers: config.workers, samples: bundle.samples.length }, "ready");
  }

  async function close(): Promise<void> {
    closing = true;
    await app.close();
    await measured.close();
    await engine?.close();
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
    loaded,
    drain: async () => {
      await drain.begin(config.drainQuietMs, config.drainMaxMs);
      log.info({ cut: drain.underWay() }, "drained");
      await close();
    },
    close,
  };
}
