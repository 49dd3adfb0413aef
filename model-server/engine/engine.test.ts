import { basename, join } from "node:path";
import type { Worker } from "node:worker_threads";

import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";

import { createEngine, type Engine } from "./engine.ts";
import type { EngineOptions } from "./options.ts";
import { kill, threads, watchThreads } from "./threads.testing.ts";
import type { Stage } from "../stages.ts";
import type { Tensor } from "../tensor/tensor.ts";

const models = join(import.meta.dirname, "..", "..", "examples");
const IRIS = join(models, "iris", "models", "1.0.0", "model.onnx");
const never = new AbortController().signal;
const BOUND = { timeout: 20_000, interval: 10 };

const deaths: string[] = [];
const engines: Engine[] = [];

watchThreads();
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
  deaths.length = 0;
});

async function start({
  maxQueue = 16,
  ...options
}: Partial<EngineOptions> & { readonly maxQueue?: number } = {}): Promise<Engine> {
  const engine = await createEngine({
    modelFile: IRIS,
    patches: [],
    provider: "cpu",
    workers: 1,
    threads: 1,
    queue: { requests: maxQueue, rows: 10_000, bytes: 2 ** 20 },
    // Each request runs alone, unless a test says otherwise.
    batching: "off",
    batch: { rows: 64, bytes: 2 ** 20 },
    mainThreadMs: 0,
    requestTimeoutMs: 30_000,
    onWorkerLost: (error) => deaths.push(error.message),
    ...options,
  });
  engines.push(engine);
  return engine;
}

type Flowers = Extract<Tensor, { readonly datatype: "FP32" }>;

/** A row of four numbers is a flower to the model; so many rows are a batch. */
function flowers(rows: number): Flowers {
  const data = new Float32Array(rows * 4);
  for (let row = 0; row < rows; row += 1) data.set([5.1, 2.5, 3, 1.1], row * 4);
  return { datatype: "FP32", dims: [rows, 4], data };
}

async function ask(engine: Engine, tensor: Tensor = flowers(1), signal = never): Promise<Flowers> {
  const outputs = await engine.run(new Map([["input", tensor]]), ["probabilities"], signal);
  const output = outputs.get("probabilities");
  if (output?.datatype !== "FP32") throw new Error("no FP32 came");
  return output;
}

async function refusal(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "answered",
    (error: unknown) => error,
  );
}

describe("an engine", () => {
  test("reports the model's inputs and outputs, with free dimensions undefined", async () => {
    const { signature } = await start();
    expect(signature).toEqual({
      inputs: [{ name: "input", datatype: "FP32", dims: [undefined, 4] }],
      outputs: [{ name: "probabilities", datatype: "FP32", dims: [undefined, 3], rows: "each" }],
      batch: { kind: "free" },
    });
  });

  test("answers one row and many alike", async () => {
    const engine = await start();
    const one = await ask(engine);
    expect(one.dims).toEqual([1, 3]);
    expect(one.data.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
    const many = await ask(engine, flowers(3));
    expect(many.dims).toEqual([3, 3]);
    expect(Array.from(many.data)).toEqual([...one.data, ...one.data, ...one.data]);
  });

  test("gives each of many at once its own answer, by however many threads", async () => {
    const engine = await start({ workers: 2, maxQueue: 64 });
    const sizes = Array.from({ length: 50 }, (_, index) => index + 1);
    const answers = await Promise.all(sizes.map(async (rows) => ask(engine, flowers(rows))));
    expect(answers.map(({ dims }) => dims)).toEqual(sizes.map((rows) => [rows, 3]));
    expect(engine.waiting()).toBe(0);
  });

  test.each([
    ["of another width", [1, 3], 3, /invalid dimensions/],
    ["of another rank", [4], 4, /Invalid rank/],
    ["with fewer numbers than its shape says", [2, 4], 4, /size/],
  ])("rejects an input %s, and serves on", async (_, dims, count, message) => {
    const engine = await start();
    const tensor: Tensor = { datatype: "FP32", dims, data: new Float32Array(count) };
    expect(await refusal(ask(engine, tensor))).toMatchObject({
      code: "REQUEST_INVALID",
      status: 400,
      message: expect.stringMatching(message),
    });
    expect((await ask(engine)).dims).toEqual([1, 3]);
    expect(deaths).toEqual([]);
  });

  test("refuses an input of another name", async () => {
    const engine = await start();
    expect(
      await refusal(engine.run(new Map([["image", flowers(1)]]), ["probabilities"], never)),
    ).toMatchObject({
      code: "REQUEST_INVALID",
    });
  });

  test.each([
    ["is not ONNX", join(models, "digits", "models", "1", "labels.txt")],
    ["is not there", join(models, "nowhere.onnx")],
  ])("does not start with a model that %s, and leaves no worker behind", async (_, modelFile) => {
    const starting = start({ modelFile, workers: 2 });
    expect(await refusal(starting)).toMatchObject({
      code: "MODEL_LOAD_FAILED",
      message: expect.stringContaining(`the runtime rejects ${basename(modelFile)}: `),
    });
    expect(threads.size).toBe(0);
    expect(deaths).toEqual([]);
  });
});

describe("the queue", () => {
  test("takes no more than it may hold", async () => {
    const engine = await start({ maxQueue: 2 });
    const taken = [ask(engine), ask(engine), ask(engine)];
    expect(engine.waiting()).toBe(2);
    expect(await refusal(ask(engine))).toMatchObject({ code: "OVERLOADED", status: 503 });
    expect(await Promise.all(taken)).toHaveLength(3);
    expect((await ask(engine)).dims).toEqual([1, 3]);
  });

  test("gives up what waits when its signal says so, and the others are answered", async () => {
    const engine = await start();
    const impatient = new AbortController();
    const first = ask(engine);
    const second = ask(engine, flowers(2), impatient.signal);
    const third = ask(engine, flowers(3));
    expect(engine.waiting()).toBe(2);
    impatient.abort();
    expect(engine.waiting()).toBe(1);
    expect(await refusal(second)).toMatchObject({ code: "TIMED_OUT", status: 503 });
    expect([(await first).dims, (await third).dims]).toEqual([
      [1, 3],
      [3, 3],
    ]);
  });

  test("gives up what runs, and the thread goes on with the next", async () => {
    const engine = await start();
    const impatient = new AbortController();
    const first = ask(engine, flowers(1), impatient.signal);
    const second = ask(engine, flowers(2));
    impatient.abort();
    expect(await refusal(first)).toMatchObject({ code: "TIMED_OUT" });
    expect((await second).dims).toEqual([2, 3]);
  });

  test("never takes what was given up before it came", async () => {
    const engine = await start();
    expect(await refusal(ask(engine, flowers(1), AbortSignal.abort()))).toMatchObject({
      code: "TIMED_OUT",
    });
    expect(engine.waiting()).toBe(0);
  });
});

describe("requests that wait together", () => {
  test("share a run where the model names its batch and rows get cheaper together", async () => {
    const runs: number[] = [];
    const engine = await start({
      batching: "auto",
      maxQueue: 1000,
      onRun: ({ rows }) => runs.push(rows),
    });
    await Promise.all(Array.from({ length: 1000 }, async () => ask(engine)));
    expect(Math.max(...runs)).toBeGreaterThan(2);
  });

  test("share a run where that is asked for, and each gets its own rows", async () => {
    const runs: number[] = [];
    const engine = await start({ batching: "on", onRun: ({ rows }) => runs.push(rows) });
    const sizes = [1, 2, 3, 4];
    const answers = await Promise.all(sizes.map(async (rows) => ask(engine, flowers(rows))));
    expect(answers.map(({ dims }) => dims)).toEqual(sizes.map((rows) => [rows, 3]));
    expect(runs).toEqual([10]);
    const alone = await ask(engine);
    for (const { data } of answers) expect(data.slice(0, 3)).toEqual(alone.data);
  });

  test("share one where they come in one turn of the event loop, though a worker is idle", async () => {
    const runs: number[] = [];
    const engine = await start({
      workers: 2,
      batching: "on",
      onRun: ({ rows }) => runs.push(rows),
    });
    await Promise.all(Array.from({ length: 5 }, async () => ask(engine)));
    expect(runs).toEqual([5]);
  });

  test("are not rejected for a full queue while a worker is idle", async () => {
    const engine = await start({ workers: 2, batching: "on", maxQueue: 2 });
    const answers = await Promise.all(Array.from({ length: 4 }, async () => ask(engine)));
    expect(answers).toHaveLength(4);
    expect(engine.waiting()).toBe(0);
  });

  test("do not share a run with those of another shape, and one that fails harms no other", async () => {
    const runs: number[] = [];
    const engine = await start({ batching: "on", onRun: ({ rows }) => runs.push(rows) });
    const wrong: Tensor = { datatype: "FP32", dims: [1, 5], data: new Float32Array(5) };
    const answers = await Promise.allSettled([
      ask(engine),
      ask(engine, flowers(2)),
      ask(engine, wrong),
      ask(engine, flowers(2)),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    expect(runs).toEqual([5]);
  });

  test("know how long each waited, and what run it shared", async () => {
    const engine = await start({ batching: "on", batch: { rows: 5, bytes: 2 ** 20 } });
    const sizes = [1, 2, 3];
    const stages = sizes.map((): Stage[] => []);
    const began = performance.now();
    await Promise.all(
      sizes.map(async (rows, index) =>
        engine.run(new Map([["input", flowers(rows)]]), ["probabilities"], never, (stage) =>
          stages[index]?.push(stage),
        ),
      ),
    );
    const ended = performance.now();
    const runOf = { 1: [3, 2], 2: [3, 2], 3: [3, 1] } as const;
    for (const [index, rows] of ([1, 2, 3] as const).entries()) {
      const [queue, run, ...others] = stages[index] ?? [];
      const [batchRows, requests] = runOf[rows];
      expect(others).toEqual([]);
      expect(queue?.kind).toBe("queue");
      expect(run).toMatchObject({ kind: "run", rows: batchRows, requests });
      expect(run?.began).toBe(queue?.ended);
      const times = [began, queue?.began, queue?.ended, run?.ended, ended].map(Number);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(run?.kind === "run" && run.computed).toBeLessThanOrEqual(
        (run?.ended ?? 0) - (run?.began ?? 0),
      );
    }
    // The last one waited for the others.
    expect(stages[2]?.[0]?.ended).toBeGreaterThanOrEqual(stages[0]?.[1]?.ended ?? 0);
  });

  test("know how long they waited when they are given up", async () => {
    const engine = await start();
    const first = ask(engine);
    const stages: Stage[] = [];
    const controller = new AbortController();
    const waiting = engine.run(
      new Map([["input", flowers(1)]]),
      ["probabilities"],
      controller.signal,
      (stage) => stages.push(stage),
    );
    controller.abort();
    await refusal(waiting);
    expect(stages.map(({ kind }) => kind)).toEqual(["queue"]);
    await first;
  });
});

describe("runs of one worker each", () => {
  const input = (): ReadonlyMap<string, Tensor> => new Map([["input", flowers(1)]]);

  test("reach every worker, past what waits and without sharing a run", async () => {
    const rows: number[] = [];
    const engine = await start({ workers: 3, batching: "on", onRun: (run) => rows.push(run.rows) });
    const answeredBy = new Set<Worker>();
    for (const thread of threads) thread.on("message", () => answeredBy.add(thread));
    const answers = engine.perWorker.map(async (run) => run(input(), ["probabilities"], never));
    expect(engine.waiting()).toBe(0);
    expect(await Promise.all(answers)).toHaveLength(3);
    expect(answeredBy.size).toBe(3);
    expect(rows).toEqual([1, 1, 1]);
  });

  test("fail alone, and are given up as others are", async () => {
    const engine = await start({ workers: 2 });
    const [one, two] = engine.perWorker;
    const wrong: Tensor = { datatype: "FP32", dims: [1, 3], data: new Float32Array(3) };
    const impatient = new AbortController();
    const results = Promise.allSettled([
      one?.(new Map([["input", wrong]]), ["probabilities"], never),
      two?.(input(), ["probabilities"], impatient.signal),
    ]);
    impatient.abort();
    expect(await results).toMatchObject([
      { reason: { code: "REQUEST_INVALID" } },
      { reason: { code: "TIMED_OUT" } },
    ]);
    expect((await ask(engine)).dims).toEqual([1, 3]);
  });

  test("go to the worker that replaces one that has died", async () => {
    const engine = await start({ workers: 2 });
    for (const thread of threads) kill(thread);
    await vi.waitFor(() => expect(deaths).toHaveLength(2), BOUND);
    const answers = engine.perWorker.map(async (run) => run(input(), ["probabilities"], never));
    expect(await Promise.all(answers)).toHaveLength(2);
  });

  test("are refused once the engine closes", async () => {
    const engine = await start();
    await engine.close();
    const [run] = engine.perWorker;
    const late = run?.(input(), ["probabilities"], never);
    expect(await refusal(Promise.resolve(late))).toMatchObject({ code: "OVERLOADED" });
  });
});

describe("a worker that dies", () => {
  test("fails only the request that it ran; another replaces it, and what waited is answered", async () => {
    const engine = await start();
    const [thread] = threads;
    kill(thread);
    const lost = ask(engine);
    const waited = ask(engine, flowers(2));
    expect(await refusal(lost)).toMatchObject({ code: "WORKER_LOST", status: 503 });
    expect(engine.state()).toBe("loading");
    expect(deaths).toEqual([expect.stringContaining("null")]);
    expect((await waited).dims).toEqual([2, 3]);
    expect(engine.state()).toBe("ready");
  });

  test("while another lives leaves the engine ready", async () => {
    const engine = await start({ workers: 2 });
    const [thread] = threads;
    kill(thread);
    await vi.waitFor(() => expect(deaths).toHaveLength(1), BOUND);
    expect(engine.state()).toBe("ready");
    expect((await ask(engine)).dims).toEqual([1, 3]);
  });
});

describe("a worker that dies before it has loaded the model", () => {
  test.each([1, 2, 3])("ends the start, and leaves no worker behind: number %i", async (number) => {
    process.on("worker", endWorker);
    onTestFinished(() => void process.off("worker", endWorker));
    let started = 0;
    function endWorker(worker: Worker): void {
      started += 1;
      if (started === number) void worker.terminate();
    }
    expect(await refusal(start({ workers: 3 }))).toMatchObject({
      code: "MODEL_LOAD_FAILED",
      message: expect.stringMatching(/^the model's worker died: exit code \d$/),
    });
    expect([started, threads.size, deaths.length]).toEqual([3, 0, 0]);
  });
});

describe("threads that keep dying", () => {
  afterEach(() => process.off("worker", kill));

  test("are not replaced without end, and closing does not wait for them", async () => {
    const engine = await start();
    const [thread] = threads;
    process.on("worker", kill);
    kill(thread);
    await vi.waitFor(() => expect([deaths.length, threads.size]).toEqual([21, 0]), BOUND);
    expect(engine.state()).toBe("failed");
    const late = refusal(ask(engine));
    await engine.close();
    expect(await late).toMatchObject({ code: "OVERLOADED" });
    expect(deaths).toHaveLength(21);
  });
});

describe("closing", () => {
  test("ends all threads", async () => {
    const engine = await start({ workers: 3 });
    expect(threads.size).toBe(3);
    await engine.close();
    expect(threads.size).toBe(0);
    expect(engine.state()).toBe("loading");
    expect(deaths).toEqual([]);
  });

  test("answers what runs, refuses what waits and whatever comes", async () => {
    const engine = await start();
    const running = ask(engine);
    const waiting = refusal(ask(engine));
    const closed = engine.close();
    const late = refusal(ask(engine));
    expect((await running).dims).toEqual([1, 3]);
    expect(await waiting).toMatchObject({ code: "OVERLOADED", message: "the server is stopping" });
    expect(await late).toMatchObject({ code: "OVERLOADED" });
    await closed;
    expect(threads.size).toBe(0);
  });

  test("may be called again", async () => {
    const engine = await start();
    await Promise.all([engine.close(), engine.close()]);
    await engine.close();
    expect(threads.size).toBe(0);
  });

  test("does not wait for a thread that has died meanwhile", async () => {
    const engine = await start();
    const [thread] = threads;
    kill(thread);
    const lost = refusal(ask(engine));
    await engine.close();
    expect(await lost).toMatchObject({ code: "WORKER_LOST" });
    expect(deaths).toEqual([]);
  });
});
