import { join } from "node:path";
import type { Worker } from "node:worker_threads";

import { describe, expect, onTestFinished, test } from "vitest";

import type { FromWorker } from "./engine/messages.ts";
import { kill } from "./engine/threads.testing.ts";
import { buildModel } from "./onnx/build.testing.ts";
import { QUOTIENT, RESHAPE } from "./onnx/models.testing.ts";
import { copyOf, refusalOf, scores, serve } from "./serve.testing.ts";

/** What the server runs before it is ready, and in which workers. */

const IRIS = join(import.meta.dirname, "..", "examples", "iris", "models", "1.0.0", "model.onnx");

type Answer = Exclude<FromWorker["kind"], "ready" | "refused">;

/** What each worker has answered that has loaded the model from now on. */
function watchRuns(
  onReady: (worker: Worker) => void = () => {},
): ReadonlyMap<Worker, readonly Answer[]> {
  const answers = new Map<Worker, Answer[]>();
  const seen = (worker: Worker): void => {
    worker.on("message", ({ kind }: FromWorker) => {
      if (kind === "ready") {
        answers.set(worker, []);
        onReady(worker);
      } else if (kind !== "refused") answers.get(worker)?.push(kind);
    });
  };
  process.on("worker", seen);
  onTestFinished(() => void process.off("worker", seen));
  return answers;
}

/** Rejects a step of 0. */
const range = buildModel({
  nodes: [{ op: "Range", inputs: ["start", "limit", "delta"], outputs: ["y"] }],
  inputs: ["start", "limit", "delta"].map((name) => ({ name, type: "int64", dims: [] })),
  outputs: [{ name: "y", type: "int64", dims: ["k"] }],
});

/** Of `RESHAPE`. */
const FOUR = { input: { x: [1, 2, 3, 4], shape: [2, 2] } };

/** On zeros it gives more than an address space holds; on ones, nothing. */
const huge = buildModel({
  nodes: [
    { op: "Sub", inputs: ["one", "x"], outputs: ["rest"] },
    { op: "Mul", inputs: ["rest", "most"], outputs: ["size"] },
    { op: "Cast", inputs: ["size"], outputs: ["shape"], integers: { to: 7 } },
    { op: "ConstantOfShape", inputs: ["shape"], outputs: ["y"] },
  ],
  inputs: [{ name: "x", type: "float", dims: [1] }],
  outputs: [{ name: "y", type: "float", dims: ["k"] }],
  weights: [
    { name: "one", dims: [1], data: [1] },
    { name: "most", dims: [1], data: [2 ** 46] },
  ],
});

describe("the server is ready", () => {
  test("once every worker has loaded the model and run it", async () => {
    const runs = watchRuns();
    const server = await serve({ "model.onnx": copyOf(IRIS) }, { WORKERS: "3" });
    await server.loaded;
    expect([...runs.values()]).toEqual([["result"], ["result"], ["result"]]);
  });

  test("once every worker has run a model on ones that rejects zeros", async () => {
    const runs = watchRuns();
    const server = await serve({ "model.onnx": QUOTIENT }, { WORKERS: "2" });
    await server.loaded;
    expect([...runs.values()]).toEqual([
      ["failed", "result"],
      ["failed", "result"],
    ]);
    const input = { a: [[9, 8]], b: [[3, 2]] };
    expect(await scores(server, { input })).toEqual([[3, 4]]);
  });

  test("though the run on ones gives nothing", async () => {
    const server = await serve({ "model.onnx": range });
    await server.loaded;
    const input = { start: 2, limit: 8, delta: 3 };
    expect(await scores(server, { input })).toEqual([[2, 5]]);
  });

  test("once every worker has scored the first sample of a model that rejects zeros and ones", async () => {
    const runs = watchRuns();
    const sample = { request: FOUR, expected: [[1, 2, 3, 4]] };
    const files = { "model.onnx": RESHAPE, "samples/1.json": sample };
    const server = await serve(files, { WORKERS: "2" });
    await server.loaded;
    const warm = ["failed", "failed", "result"];
    // One of them has also checked the samples' answers.
    expect([...runs.values()].map((answers) => answers.slice(0, 3))).toEqual([warm, warm]);
    expect([...runs.values()].flat()).toHaveLength(7);
  });
});

describe("the start ends", () => {
  test("with what to do where a model rejects zeros and ones, and there is no sample", async () => {
    expect(await refusalOf({ "model.onnx": RESHAPE })).toMatchObject({
      code: "BUNDLE_INVALID",
      message: expect.stringMatching(
        /^the model rejects the runs that warm it up, on zeros and on ones \(Non-zero status code returned while running Reshape node\..*requested shape:\{1,1\}\): add a sample that it accepts, samples\/1\.json of the bundle or aiapp bundle --sample$/,
      ),
    });
  });

  test("where a model that rejects zeros and ones rejects its sample, too", async () => {
    const sample = { request: { input: { x: [1, 2, 3, 4], shape: [3, 3] } }, expected: [] };
    expect(await refusalOf({ "model.onnx": RESHAPE, "samples/1.json": sample })).toMatchObject({
      code: "BUNDLE_INVALID",
      message: expect.stringContaining(
        "the request of samples/1.json cannot be scored: the model rejects this input: ",
      ),
    });
  });

  test("where the answer to the sample of such a model differs", async () => {
    const sample = { request: FOUR, expected: [[1, 2, 3, 5]] };
    expect(await refusalOf({ "model.onnx": RESHAPE, "samples/1.json": sample })).toMatchObject({
      code: "SAMPLE_MISMATCH",
    });
  });

  test("without a run on ones where there is no memory for zeros", async () => {
    const runs = watchRuns();
    expect(await refusalOf({ "model.onnx": huge })).toMatchObject({ code: "OUT_OF_MEMORY" });
    expect([...runs.values()]).toEqual([["failed"]]);
  });

  test("where a worker dies of the run", async () => {
    watchRuns(kill);
    expect(await refusalOf({ "model.onnx": copyOf(IRIS) })).toMatchObject({ code: "WORKER_LOST" });
  });
});
