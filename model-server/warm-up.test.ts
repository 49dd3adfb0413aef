import { join } from "node:path";
import type { Worker } from "node:worker_threads";

import { expect, onTestFinished, test } from "vitest";

import type { FromWorker } from "./engine/messages.ts";
import { copyOf, serve } from "./serve.testing.ts";

const IRIS = join(import.meta.dirname, "..", "examples", "iris", "models", "1.0.0", "model.onnx");

/** How many runs each worker has answered that has loaded the model from now on. */
function countRuns(): ReadonlyMap<Worker, number> {
  const runs = new Map<Worker, number>();
  const seen = (worker: Worker): void => {
    worker.on("message", ({ kind }: FromWorker) => {
      if (kind === "ready") runs.set(worker, 0);
      if (kind === "result") runs.set(worker, (runs.get(worker) ?? 0) + 1);
    });
  };
  process.on("worker", seen);
  onTestFinished(() => void process.off("worker", seen));
  return runs;
}

test("the server is ready once every worker has loaded the model and run it", async () => {
  const runs = countRuns();
  const server = await serve({ "model.onnx": copyOf(IRIS) }, { WORKERS: "3" });
  await server.loaded;
  expect([...runs.values()]).toEqual([1, 1, 1]);
});
