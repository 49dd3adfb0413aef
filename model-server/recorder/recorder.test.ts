import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";

import { checkBundle } from "../check/check.ts";
import { targets } from "../fuzz-targets.testing.ts";
import { floats, identity, send, tensor } from "../infer.testing.ts";
import type { Scores } from "../inference/scores.ts";
import { createLogger } from "../log.ts";
import { copyOf, score, serve, startOn } from "../serve.testing.ts";
import type { Server } from "../server.ts";
import { createRecorder, type Recorder, type RecorderOptions } from "./recorder.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aiapp-recorder-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
});

let clock = 0;
async function recorderOf(options: Partial<RecorderOptions> = {}): Promise<Recorder> {
  return createRecorder({
    folder,
    count: 3,
    maxBytes: 100_000,
    intervalMs: 1000,
    log: createLogger("silent"),
    now: () => clock,
    epoch: () => 1_700_000_000_000 + clock,
    ...options,
  });
}

const classes: Scores = [["a", "b", "c", "d", "e", "f"].map((name) => [name, 1] as const)];

/** Offers a request, and waits until it is kept. */
async function offer(recorder: Recorder, request: unknown, scores: Scores, top = 5): Promise<void> {
  clock += 1000;
  recorder.offer(
    JSON.stringify(request).length,
    () => request,
    () => scores,
    top,
  );
  await recorder.close();
}

async function kept(): Promise<readonly { request: unknown; expected: unknown }[]> {
  const names = await readdir(join(folder, "samples"));
  const texts = names
    .toSorted()
    .map(async (name) => readFile(join(folder, "samples", name), "utf8"));
  return (await Promise.all(texts)).map(
    (text) => JSON.parse(text) as { request: unknown; expected: unknown },
  );
}

describe("the recorder", () => {
  test("keeps the last requests, each once, with their answers", async () => {
    const recorder = await recorderOf();
    for (const one of [1, 2, 2, 3, 4]) await offer(recorder, { input: [[one]] }, [[one * 10]]);
    expect(await kept()).toEqual([
      { request: { input: [[2]] }, expected: [[20]] },
      { request: { input: [[3]] }, expected: [[30]] },
      { request: { input: [[4]] }, expected: [[40]] },
    ]);
  });

  test("goes on with what it kept before a restart", async () => {
    await offer(await recorderOf(), { input: [[1]] }, [[1]]);
    const again = await recorderOf({ count: 1 });
    await offer(again, { input: [[1]] }, [[1]]);
    await offer(again, { input: [[2]] }, [[2]]);
    expect((await kept()).map(({ request }) => request)).toEqual([{ input: [[2]] }]);
  });

  test("keeps no more than one in an interval", async () => {
    const recorder = await recorderOf();
    await offer(recorder, { input: [[1]] }, [[1]]);
    recorder.offer(
      1,
      () => ({ input: [[2]] }),
      () => [[2]],
      5,
    );
    await recorder.close();
    expect(await kept()).toHaveLength(1);
  });

  test("keeps no more bytes than it may: the oldest go, and what is larger alone never comes", async () => {
    const recorder = await recorderOf({ count: 100, maxBytes: 2500 });
    for (const one of ["a", "b", "c"]) await offer(recorder, { input: [one.repeat(1000)] }, [[1]]);
    await offer(recorder, { input: ["d".repeat(5000)] }, [[1]]);
    const firsts = (await kept()).map(({ request }) => JSON.stringify(request).slice(0, 12));
    expect(firsts).toEqual(['{"input":["b', '{"input":["c']);
    recorder.offer(
      2 ** 21,
      () => ({ input: [] }),
      () => [[1]],
      5,
    );
    await recorder.close();
    expect(await kept()).toHaveLength(2);
  });

  test("keeps as many classes as a sample has, and nothing where fewer were asked for", async () => {
    const recorder = await recorderOf();
    await offer(recorder, { input: ["more"] }, classes, 10);
    await offer(recorder, { input: ["fewer"] }, classes, 2);
    expect(await kept()).toEqual([
      { request: { input: ["more"] }, expected: [classes[0]?.slice(0, 5)] },
    ]);
  });

  test("leaves files of others alone", async () => {
    await recorderOf();
    await writeFile(join(folder, "samples", "mine.json"), "{}");
    const recorder = await recorderOf({ count: 1 });
    await offer(recorder, { input: [[1]] }, [[1]]);
    await offer(recorder, { input: [[2]] }, [[2]]);
    expect(await readdir(join(folder, "samples"))).toContain("mine.json");
  });

  test("logs once that it cannot write, and goes on when it can", async () => {
    const errors: string[] = [];
    const log = createLogger("error", { write: (line: string) => void errors.push(line) });
    const recorder = await recorderOf({ log });
    await rm(join(folder, "samples"), { recursive: true });
    await offer(recorder, { input: [[1]] }, [[1]]);
    await offer(recorder, { input: [[2]] }, [[2]]);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain("a request was not recorded");
  });

  test("ends the start where its folder cannot be made", async () => {
    await writeFile(join(folder, "file"), "");
    await expect(recorderOf({ folder: join(folder, "file") })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/^RECORD_DIR: .* cannot be used \(ENOTDIR\)/),
    });
  });
});

const digits = join(import.meta.dirname, "..", "..", "examples", "digits");
const model = join(digits, "models", "2");
const files = {
  "model.onnx": copyOf(join(model, "model.onnx")),
  "labels.txt": copyOf(join(model, "labels.txt")),
  "preprocessing.json": copyOf(join(model, "preprocessing.json")),
};

function recording(): NodeJS.ProcessEnv {
  return { RECORD_SAMPLES: "10", RECORD_DIR: folder, RECORD_INTERVAL_SECONDS: "0" };
}

async function inferOk(
  server: Server,
  body: Uint8Array | string,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { status, body: answer } = await send(server, body, headers);
  expect({ status, answer }).toMatchObject({ status: 200 });
}

async function postPicture(server: Server, name: string): Promise<void> {
  const body = Uint8Array.from(await readFile(join(digits, "pictures", `${name}.png`)));
  const url = `http://127.0.0.1:${server.port}/score`;
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "image/png" },
    body,
  });
  expect(response.status).toBe(200);
  await response.arrayBuffer();
}

describe("a server that records", () => {
  test("makes the proof of the next version: its samples are verified at the start", async () => {
    const { server, close } = await startOn(files, {
      RECORD_SAMPLES: "10",
      RECORD_DIR: folder,
      RECORD_INTERVAL_SECONDS: "0",
    });
    await server.loaded;
    await postPicture(server, "3");
    await vi.waitFor(async () => expect(await kept()).toHaveLength(1));
    const picture = (await readFile(join(digits, "pictures", "7.png"))).toString("base64");
    expect((await score(server, { input: [picture, picture] })).status).toBe(200);
    await vi.waitFor(async () => expect(await kept()).toHaveLength(2));
    expect((await score(server, { input: ["no picture"] })).status).toBe(400);
    await close();
    expect(await kept()).toHaveLength(2);

    // The next version: the recorder's folder and the model's files.
    for (const name of Object.keys(files)) await cp(join(model, name), join(folder, name));
    const idle = new AbortController().signal;
    const checked = await checkBundle(folder, {}, () => {}, idle);
    expect(checked).toMatchObject({ kind: "servable", samples: 2 });
    await cp(join(digits, "models", "1", "model.onnx"), join(folder, "model.onnx"));
    await expect(checkBundle(folder, {}, () => {}, idle)).rejects.toMatchObject({
      code: "SAMPLE_MISMATCH",
    });
  });

  test("keeps requests of the Open Inference Protocol as what `POST /score` takes", async () => {
    const lines: string[] = [];
    const log = createLogger("error", { write: (line: string) => void lines.push(line) });
    const { server, close } = await startOn(targets.tensors, recording(), log);
    await server.loaded;
    const c = { name: "c", datatype: "BYTES", shape: [1, 1], data: ["hi"] };
    const big = "9007199254740993";
    const inputs = (a: unknown): readonly object[] => [
      c,
      tensor("a", "FP32", [1, 2], [a, 2]),
      tensor("b", "INT64", [1, 1], [[big]]),
    ];
    // Neither of these is a sample: the scored output is missing, or is no number.
    await inferOk(server, JSON.stringify({ inputs: inputs(1), outputs: [{ name: "b_out" }] }));
    await inferOk(server, JSON.stringify({ inputs: inputs("NaN") }));
    await inferOk(server, JSON.stringify({ inputs: inputs(1.5) }));
    await vi.waitFor(async () => expect(await kept()).toHaveLength(1));
    const head = Buffer.from(
      JSON.stringify({
        inputs: [
          c,
          {
            name: "a",
            datatype: "FP32",
            shape: [1, 2],
            parameters: { binary_data_size: 8 },
          },
          tensor("b", "INT64", [1, 1], [big]),
        ],
        outputs: [{ name: "a_out", parameters: { classification: 1 } }],
      }),
    );
    const length = { "inference-header-content-length": String(head.length) };
    await inferOk(server, Buffer.concat([head, floats(0.25, 3)]), length);
    await vi.waitFor(async () => expect(await kept()).toHaveLength(2));
    await close();
    expect(lines).toEqual([]);
    expect(await kept()).toEqual([
      { request: { input: { c: [["hi"]], a: [[1.5, 2]], b: [[big]] } }, expected: [[1.5, 2]] },
      { request: { input: { c: [["hi"]], a: [[0.25, 3]], b: [[big]] } }, expected: [[0.25, 3]] },
    ]);
    await writeFile(join(folder, "model.onnx"), targets.tensors["model.onnx"]);
    const idle = new AbortController().signal;
    const checked = await checkBundle(folder, {}, () => {}, idle);
    expect(checked).toMatchObject({ kind: "servable", samples: 2 });
  });

  test("keeps large requests too, whose memory their run takes, but none of more rows than a sample has, and none of no rows", async () => {
    const { server, close } = await startOn(identity("float", ["N", 32]), recording());
    onTestFinished(close);
    await server.loaded;
    const raw = (rows: number): Uint8Array => floats(...Array<number>(rows * 32).fill(rows));
    const alone = { "inference-header-content-length": "0" };
    await inferOk(server, raw(1025), alone);
    const none = { name: "x", datatype: "FP32", shape: [0, 32], data: [] };
    await inferOk(server, JSON.stringify({ inputs: [none] }));
    await inferOk(server, raw(200), alone);
    await vi.waitFor(async () => expect(await kept()).toHaveLength(1));
    const rows = Array.from({ length: 200 }, () => Array<number>(32).fill(200));
    expect(await kept()).toEqual([{ request: { input: { x: rows } }, expected: rows }]);
  });

  test("keeps the classes of a request that asked for values", async () => {
    const { server, close } = await startOn(files, recording());
    onTestFinished(close);
    await server.loaded;
    const metadata = (await (
      await fetch(`http://127.0.0.1:${server.port}/v2/models/model`)
    ).json()) as { inputs: { name: string; shape: number[] }[] };
    const [input] = metadata.inputs;
    const shape = [1, ...(input?.shape.slice(1) ?? [])];
    const data = Array<number>(shape.reduce((product, size) => product * size)).fill(0);
    const one = tensor(input?.name ?? "", "FP32", shape, data);
    await inferOk(server, JSON.stringify({ inputs: [one] }));
    await vi.waitFor(async () => expect(await kept()).toHaveLength(1));
    const [sample] = await kept();
    const { body } = await score(server, sample?.request);
    expect(body).toMatchObject({ result: [sample?.expected, expect.any(String)] });
    const [first] = (sample?.expected ?? []) as unknown[][];
    expect(first).toHaveLength(5);
  });

  test("records nothing unless RECORD_SAMPLES says how many", async () => {
    const server = await serve(files, { RECORD_DIR: folder });
    await server.loaded;
    await postPicture(server, "3");
    expect(await readdir(folder)).toEqual([]);
  });
});
