import type { Bundle } from "../bundle/bundle.ts";
import type { OnnxFile } from "../onnx/onnx-file.ts";
import type { Config } from "../config.ts";
import { cores } from "../cores.ts";
import { createEngine, type Engine } from "./engine.ts";
import type { EngineOptions } from "./options.ts";

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
    mainThreadMs: mayRunOnMainThread(config, model) ? config.mainThreadMs : 0,
    requestTimeoutMs: config.requestTimeoutMs,
    ...reports,
  });
}

/** Its weights are in memory once more there. */
const MAX_MAIN_THREAD_BYTES = 8 * 1024 * 1024;

export function mayRunOnMainThread(
  { provider }: Pick<Config, "provider">,
  { bytes, external, isTimedByShapes }: Pick<OnnxFile, "bytes" | "external" | "isTimedByShapes">,
): boolean {
  const isSmall = bytes <= MAX_MAIN_THREAD_BYTES && external.length === 0;
  return provider === "cpu" && isSmall && isTimedByShapes;
}
