import type { Bundle } from "../bundle/bundle.ts";
import type { Config } from "../config.ts";
import { cores } from "../cores.ts";
import { createEngine, type Engine, type EngineOptions } from "./engine.ts";

/** An engine of the bundle's model, as the configuration says. @throws MODEL_LOAD_FAILED */
export async function engineOf(
  config: Config,
  { model }: Bundle,
  reports: Pick<EngineOptions, "onRun" | "onWorkerLost">,
): Promise<Engine> {
  return createEngine({
    modelFile: model.file,
    patches: model.patches,
    provider: config.provider,
    workers: config.workers,
    threads: Math.max(1, Math.floor(cores() / config.workers)),
    queue: config.queue,
    batch: config.batch,
    batching: config.batching,
    requestTimeoutMs: config.requestTimeoutMs,
    ...reports,
  });
}
