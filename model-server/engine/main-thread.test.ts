import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { buildModel } from "../onnx/build.testing.ts";
import { readOnnxFile } from "../onnx/onnx-file.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { createEngine, type Engine } from "./engine.ts";
import type { EngineOptions, RunReport } from "./options.ts";
import { mayRunOnMainThread } from "./from-config.ts";

/** Runs that no worker is woken for. */

const never = new AbortController().signal;
/** Any run is short to it. */
const PATIENT_MS = 60_000;
/** What is sent until the main thread has the model. */
const MAX_REQUESTS = 5000;

let folder: string;
let modelFile: string;
let engine: Engine;
let runs: RunReport[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "aiapp-main-thread-"));
  modelFile = join(folder, "model.onnx");
  // An index beyond the three fails only when it runs.
  await writeFile(
    modelFile,
    buildModel({
      nodes: [{ op: "Gather", inputs: ["three", "x"], outputs: ["y"] }],
      inputs: [{ name: "x", type: "int64", dims: ["N"] }],
      outputs: [{ name: "y", type: "float", dims: ["N"] }],
      weights: [{ name: "three", dims: [3], data: [10, 20, 30] }],
    }),
  );
});
afterAll(async () => rm(folder, { recursive: true }));
afterEach(() => engine.close());

async function start(options: Partial<EngineOptions> = {}): Promise<void> {
  runs = [];
  engine = await createEngine({
    modelFile,
    patches: [],
    provider: "cpu",
    workers: 1,
    threads: 1,
    queue: { requests: 64, rows: 1000, bytes: 2 ** 20 },
    batching: "auto",
    batch: { rows: 64, bytes: 2 ** 20 },
    mainThreadMs: PATIENT_MS,
    requestTimeoutMs: 30_000,
    onWorkerLost: () => {},
    onRun: (run) => runs.push(run),
    ...options,
  });
}

async function ask(...indices: readonly number[]): Promise<readonly number[]> {
  const data = BigInt64Array.from(indices, BigInt);
  const tensor: Tensor = { datatype: "INT64", dims: [data.length], data };
  const outputs = await engine.run(new Map([["x", tensor]]), ["y"], never);
  const output = outputs.get("y");
  if (output?.datatype !== "FP32") throw new Error("no FP32 came");
  return Array.from(output.data);
}

const isOnMainThread = (): boolean => runs.at(-1)?.isOnMainThread === true;

/** One request after the other, until one runs on the main thread. */
async function warm(): Promise<void> {
  for (let count = 0; count < MAX_REQUESTS; count += 1) {
    await ask(1);
    if (isOnMainThread()) return;
  }
  throw new Error("no run was on the main thread");
}

describe("a request that comes alone, of a run that is known to be short", () => {
  test("runs on the main thread, with the same answer", async () => {
    await start();
    await warm();
    expect(await ask(2)).toEqual([30]);
    expect(isOnMainThread()).toBe(true);
    expect(await ask(0, 1, 2)).toEqual([10, 20, 30]);
    expect(isOnMainThread()).toBe(true);
  });

  test("fails as it does in a worker, and the next one is answered", async () => {
    await start();
    const failure = (): Promise<unknown> => ask(7).catch((error: unknown) => error);
    const byWorker = await failure();
    await warm();
    const onMainThread = await failure();
    expect(onMainThread).toMatchObject({ code: "REQUEST_INVALID" });
    expect(onMainThread).toEqual(byWorker);
    expect(await ask(1)).toEqual([20]);
  });
});

describe("a worker runs", () => {
  test("requests that come while others run, each with its own answer", async () => {
    await start();
    await warm();
    runs.length = 0;
    const indices = Array.from({ length: 60 }, (_, index) => index % 3);
    const answers = await Promise.all(indices.map((index) => ask(index)));
    expect(answers).toEqual(indices.map((index) => [10 * (index + 1)]));
    // The first one came alone.
    expect(runs.filter((run) => run.isOnMainThread).length).toBeLessThanOrEqual(1);
    expect(runs.reduce((sum, { rows }) => sum + rows, 0)).toBe(60);
  });

  test("the first requests after such a crowd, until some have come alone again", async () => {
    await start();
    await warm();
    await Promise.all([ask(0), ask(1)]);
    runs.length = 0;
    for (let count = 0; count < 7; count += 1) await ask(0);
    expect(runs.some((run) => run.isOnMainThread)).toBe(false);
    await ask(0);
    expect(isOnMainThread()).toBe(true);
  });

  test("runs that take longer than the limit", async () => {
    await start({ mainThreadMs: Number.MIN_VALUE });
    for (let count = 0; count < 100; count += 1) await ask(1);
    expect(runs.some((run) => run.isOnMainThread)).toBe(false);
  });

  test("runs of a shape that is new", async () => {
    await start({ batching: "off" });
    await warm();
    expect(await ask(0, 1)).toEqual([10, 20]);
    expect(isOnMainThread()).toBe(false);
  });

  test("all runs of a model that takes text, whose time is that of the text", async () => {
    await start({ modelFile: join(import.meta.dirname, "..", "fixtures", "words.onnx") });
    const [input] = engine.signature.inputs;
    expect(input?.datatype).toBe("BYTES");
    const [output] = engine.signature.outputs;
    const dims = (input?.dims ?? []).map((dim) => dim ?? 1);
    for (let count = 0; count < 100; count += 1) {
      const text: Tensor = { datatype: "BYTES", dims, data: ["meow"] };
      await engine.run(new Map([[input?.name ?? "", text]]), [output?.name ?? ""], never);
    }
    expect(runs).toHaveLength(100);
    expect(runs.some((run) => run.isOnMainThread)).toBe(false);
  });
});

describe("a model whose runs may be on the main thread", () => {
  const cpu = { provider: "cpu" } as const;

  test("is small, in one file, without loops, and runs on the CPU", () => {
    const model = readOnnxFile(modelFile);
    expect(mayRunOnMainThread(cpu, model)).toBe(true);
    expect(mayRunOnMainThread({ provider: "cuda" }, model)).toBe(false);
    expect(mayRunOnMainThread(cpu, { ...model, bytes: 9_000_000 })).toBe(false);
    expect(mayRunOnMainThread(cpu, { ...model, external: ["weights.bin"] })).toBe(false);
    expect(mayRunOnMainThread(cpu, { ...model, isTimedByShapes: false })).toBe(false);
  });
});
