import { join } from "node:path";

import { afterEach, expect, test } from "vitest";

import { startPool, type Pool } from "./pool.ts";
import type { RunResult } from "./session.ts";
import { kill, loaded, threads, watchThreads } from "./threads.testing.ts";
import type { WorkerHandle } from "./worker-handle.ts";

/** When the workers are there, and which of them gets a run. */

const root = join(import.meta.dirname, "..", "..");
const modelFile = join(root, "examples", "iris", "models", "1.0.0", "model.onnx");

let pool: Pool;

watchThreads();
afterEach(() => pool.close(30_000));

/** A pool of two workers. */
async function start(): Promise<void> {
  pool = startPool({
    modelFile,
    patches: [],
    provider: "cpu",
    threads: 1,
    workers: 2,
    slowMs: 30_000,
    onWorkerLost: () => {},
    onIdle: () => {},
  });
  await pool.loaded;
}

interface Taken {
  readonly worker: WorkerHandle;
  readonly result: Promise<RunResult>;
}

/** Hands a run over. It is not answered before the next turn of the event loop. */
function take(isShort: boolean): Taken {
  const worker = pool.free(isShort);
  if (worker === undefined) throw new Error("no worker is free");
  const flower = { datatype: "FP32", dims: [1, 4], data: new Float32Array(4) } as const;
  return { worker, result: worker.run(new Map([["input", flower]]), ["probabilities"]) };
}

test("is loaded once every worker is", async () => {
  await start();
  expect(loaded.size).toBe(2);
  expect([take(false), take(false)].map(({ worker }) => worker.isLoaded())).toEqual([true, true]);
});

test("a short run goes to the worker that is busy with one, and to another once it has two", async () => {
  await start();
  const taken = [1, 2, 3, 4].map(() => take(true));
  const [first, second, third, fourth] = taken.map((one) => one.worker);
  expect(second).toBe(first);
  expect(third).not.toBe(first);
  expect(fourth).toBe(third);
  expect(pool.free(true)).toBeUndefined();
  for (const one of taken) expect((await one.result).outputs.size).toBe(1);
});

test("a run that is not known to be short goes to a worker at rest, and to no other", async () => {
  await start();
  const taken = [take(false), take(false)];
  expect(new Set(taken.map((one) => one.worker)).size).toBe(2);
  expect(pool.free(false)).toBeUndefined();
  await Promise.all(taken.map((one) => one.result));
  expect(taken.map((one) => one.worker)).toContain(pool.free(false));
});

test("a worker that dies fails all the runs that it has got", async () => {
  await start();
  for (const thread of threads) kill(thread);
  const taken = [take(true), take(true)];
  expect(taken[1]?.worker).toBe(taken[0]?.worker);
  const results = await Promise.allSettled(taken.map((one) => one.result));
  const lost = { status: "rejected", reason: expect.objectContaining({ code: "WORKER_LOST" }) };
  expect(results).toEqual([lost, lost]);
  expect(taken[0]?.worker.runs()).toBe(0);
});
