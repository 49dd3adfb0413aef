import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Worker } from "node:worker_threads";

import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from "vitest";

// oxlint-disable-next-line no-restricted-imports -- What the demo's traffic is held to holds here too.
import { expectations, pictureFiles } from "../test/demo/pictures.ts";
import { readConfig } from "./config.ts";
import { connectRaw, post } from "./http/raw.testing.ts";
import { createLogger } from "./log.ts";
import { startServer, type Server } from "./server.ts";

const examples = join(import.meta.dirname, "..", "examples");
const IRIS = join(examples, "iris", "models", "1.0.0");
const FLOWER = [5.1, 2.5, 3.0, 1.1];
const JSON_BODY = { "content-type": "application/json" };

function digits(version: string): string {
  return join(examples, "digits", "models", version);
}

/** Listens and loads; the caller closes it. */
async function start(folder: string, environment: NodeJS.ProcessEnv = {}): Promise<Server> {
  const config = readConfig({
    MODEL_DIR: folder,
    MODEL_NAME: "example",
    HOST: "127.0.0.1",
    PORT: "0",
    METRICS_PORT: "0",
    WORKERS: "1",
    ...environment,
  });
  return startServer(config, {
    log: createLogger("silent"),
    versions: { server: "0.0.0", node: "24" },
  });
}

interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

async function ask(server: Server, path: string, init: RequestInit = {}): Promise<Answered> {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, init);
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** Scores JSON, or an image. */
async function score(server: Server, body: unknown, path = "/score"): Promise<Answered> {
  const init = Buffer.isBuffer(body)
    ? { body: Uint8Array.from(body), headers: { "content-type": "image/png" } }
    : { body: JSON.stringify(body), headers: JSON_BODY };
  return ask(server, path, { method: "POST", ...init });
}

/** `result[0]` of an answer: per row the likeliest classes. */
function rows(answer: Answered): [string, number][][] {
  const { result } = answer.body as { result: [[string, number][][], string] };
  return result[0];
}

/** The number behind each sample of a metric, by its labels as they are written. */
async function metric(server: Server, name: string): Promise<Record<string, number>> {
  const response = await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`);
  const text = await response.text();
  return Object.fromEntries(
    text
      .split("\n")
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .map((line) => {
        const space = line.lastIndexOf(" ");
        return [line.slice(name.length, space), Number(line.slice(space + 1))] as const;
      }),
  );
}

describe.each(["1", "2"])("the digits' model %s", (version) => {
  let server: Server;
  beforeAll(async () => {
    server = await start(digits(version), { MODEL_VERSION: version, AIAPP_RELEASE: "5d8f6c7b9a" });
    await server.loaded;
  });
  afterAll(async () => server.close());

  test.each(pictureFiles.map((file) => [basename(file), file]))(
    "knows %s as its training script did, whichever way the image comes",
    async (name, file) => {
      const label = (await expectations())[version]?.[name];
      const image = await readFile(file);
      const answer = await score(server, image);
      expect(answer.status).toBe(200);
      const [row = []] = rows(answer);
      expect(row[0]?.[0]).toBe(label);

      const base64 = image.toString("base64");
      for (const body of [
        { input: [base64] },
        { input: JSON.stringify([base64]) },
        [`data:image/png;base64,${base64}`],
      ])
        expect(rows(await score(server, body))).toEqual([row]);
    },
  );

  test("answers in the tutorial's form: the five likeliest in percent, then the time", async () => {
    const { body } = await score(server, await readFile(pictureFiles[3] ?? ""));
    expect(body).toEqual({
      result: [[expect.any(Array)], expect.stringMatching(/^Computed in [\d.]+ ms$/)],
    });
    const [row = []] = rows({ body } as Answered);
    const percents = row.map(([, percent]) => percent);
    expect(percents).toHaveLength(5);
    expect(percents).toEqual(percents.toSorted((a, b) => b - a));
    expect(percents.every((one) => one >= 0 && one <= 100)).toBe(true);
  });

  test("answers many images in their order", async () => {
    const known = (await expectations())[version] ?? {};
    const images = await Promise.all(pictureFiles.map(async (file) => readFile(file)));
    const answer = await score(server, { input: images.map((one) => one.toString("base64")) });
    expect(rows(answer).map(([best]) => best?.[0])).toEqual(
      pictureFiles.map((file) => known[basename(file)]),
    );
  });

  test("names the release that answered, also in an error", async () => {
    const image = await readFile(pictureFiles[0] ?? "");
    const answers = [
      await score(server, image),
      await score(server, { input: ["nonsense"] }),
      await ask(server, "/score", { method: "POST", body: "{", headers: JSON_BODY }),
      await ask(server, "/score", {
        method: "POST",
        body: "a=b",
        headers: { "content-type": "text/css" },
      }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 400, 400, 415]);
    for (const { headers } of answers) {
      expect(headers.get("aiapp-release")).toBe("5d8f6c7b9a");
      expect(headers.get("aiapp-model-version")).toBe(version);
    }
  });

  test.each([
    ["as text", Buffer.from("seven"), /^the image cannot be decoded \(.+\): send a PNG/],
    ["as nothing", Buffer.alloc(0), /^the body is empty: send an image$/],
  ])("refuses an image that comes %s", async (_, body, message) => {
    expect(await score(server, body)).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(message) },
    });
  });

  test("takes numbers as the tensor that preprocessing would have made", async () => {
    const blank = Array.from({ length: 8 }, () => Array<number>(8).fill(0));
    expect(rows(await score(server, { input: [[blank], [blank]] }))).toHaveLength(2);
    expect(await score(server, { input: [blank] })).toMatchObject({
      status: 400,
      body: { error: "input has the shape [1, 8, 8], the model takes [any, 1, 8, 8]" },
    });
  });
});

describe("the model of flowers", () => {
  let server: Server;
  beforeAll(async () => {
    server = await start(IRIS, {
      MODEL_VERSION: "1.0.0",
      MODEL_DIGEST: "sha256:abc",
      AIAPP_RELEASE: "green",
      SERVER_BUILD: "7",
      MAX_BODY_BYTES: "1024",
    });
    await server.loaded;
  });
  afterAll(async () => server.close());

  test("answers rows of numbers as it did where it was trained", async () => {
    const sample = JSON.parse(await readFile(join(IRIS, "samples", "1.json"), "utf8")) as {
      request: unknown;
      expected: [string, number][][];
    };
    const answer = await score(server, sample.request);
    expect(answer.status).toBe(200);
    expect(rows(answer)).toEqual(
      sample.expected.map((row) =>
        row.map(([label, percent]) => [label, expect.closeTo(percent, 1)]),
      ),
    );
  });

  test("answers as many classes as `top` says, at most all", async () => {
    const body = { input: [FLOWER] };
    const all = rows(await score(server, body));
    expect(all[0]).toHaveLength(3);
    expect(rows(await score(server, body, "/score?top=2"))).toEqual([all[0]?.slice(0, 2)]);
    expect(rows(await score(server, body, "/score?top=1000"))).toEqual(all);
  });

  test.each(["0", "1001", "1.5", "two", "", "-1", "2&top=3"])("refuses ?top=%s", async (top) => {
    expect(await score(server, { input: [FLOWER] }, `/score?top=${top}`)).toMatchObject({
      status: 400,
      body: { error: "top must be a number from 1 to 1000" },
    });
  });

  test("names the methods of a path to a request of another one", async () => {
    const response = await fetch(`http://127.0.0.1:${server.port}/v2/models/iris`, {
      method: "DELETE",
    });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  const large = JSON.stringify({ input: Array.from({ length: 100 }, () => FLOWER) });
  test.each<[string, number, string, RequestInit, RegExp]>([
    ["no path of ours", 404, "/predict", {}, /^there is no GET \/predict: POST \/score scores/],
    ["GET /score", 405, "/score", {}, /^this path has no GET: send POST$/],
    ["PUT /score", 405, "/score", { method: "PUT", body: "[]", headers: JSON_BODY }, /no PUT/],
    ["POST /", 405, "/", { method: "POST", body: "x" }, /no POST: send GET, HEAD$/],
    ["metrics for the world", 404, "/metrics", {}, /no GET \/metrics/],
    [
      "a body too large",
      413,
      "/score",
      { method: "POST", body: large, headers: JSON_BODY },
      /^the body is larger than 1024 bytes$/,
    ],
    [
      "a body too large that does not say so",
      413,
      "/score",
      { method: "POST", body: new Blob([large]).stream(), duplex: "half", headers: JSON_BODY },
      /larger than 1024/,
    ],
    [
      "a form",
      415,
      "/score",
      { method: "POST", body: new URLSearchParams("input=1") },
      /^this content type is not supported/,
    ],
    [
      "plain text",
      415,
      "/score",
      { method: "POST", body: "[[1,2,3,4]]" },
      /^this content type is not supported/,
    ],
    [
      "bytes of no type",
      415,
      "/score",
      { method: "POST", body: Uint8Array.of(1, 2) },
      /^this content type is not supported/,
    ],
    ["no body", 400, "/score", { method: "POST" }, /^the body is not a valid request: send \{/],
    ["an empty body", 400, "/score", { method: "POST", headers: JSON_BODY }, /^the body is empty/],
    [
      "half of JSON",
      400,
      "/score",
      { method: "POST", body: '{"input": [[', headers: JSON_BODY },
      /^the body is not JSON: it ends too soon, at line 1, column 13: check that it is sent whole$/,
    ],
    [
      "a poisoned object",
      400,
      "/score",
      { method: "POST", body: '{"__proto__": {"input": [[1, 2, 3, 4]]}}', headers: JSON_BODY },
      /^the body is not a valid request: send \{/,
    ],
    [
      "a poisoned constructor",
      400,
      "/score",
      { method: "POST", body: '{"constructor": {"prototype": 1}}', headers: JSON_BODY },
      /^the body is not a valid request: send \{/,
    ],
    [
      "a body nested deep",
      400,
      "/score",
      { method: "POST", body: "[".repeat(1000), headers: JSON_BODY },
      /^the body is nested deeper than 16 levels$/,
    ],
    [
      "too few columns",
      400,
      "/score",
      { method: "POST", body: "[[1, 2, 3]]", headers: JSON_BODY },
      /shape \[1, 3\], the model takes \[any, 4\]/,
    ],
    [
      "a row that is not in rows",
      400,
      "/score",
      { method: "POST", body: "[1, 2, 3, 4]", headers: JSON_BODY },
      /shape \[4\]/,
    ],
    [
      "empty rows",
      400,
      "/score",
      { method: "POST", body: "[[]]", headers: JSON_BODY },
      /shape \[1, 0\]/,
    ],
    [
      "an image",
      400,
      "/score",
      { method: "POST", body: "GIF", headers: { "content-type": "image/gif" } },
      /takes numbers of shape \[any, 4\], not images/,
    ],
    ["a path that is no URL", 400, "/%zz", {}, /./],
  ])("refuses %s with %i", async (_, status, path, init, message) => {
    const answer = await ask(server, path, init);
    expect(answer).toMatchObject({ status, body: { error: expect.stringMatching(message) } });
    expect(answer.headers.get("content-type")).toMatch(/^application\/json/);
    // The next request is answered.
    expect((await score(server, { input: [FLOWER] })).status).toBe(200);
  });

  test("reports model, versions and release", async () => {
    expect((await ask(server, "/")).body).toEqual({
      status: "ready",
      model: "example",
      version: "1.0.0",
    });
    expect((await ask(server, "/version")).body).toEqual({
      server: "0.0.0",
      node: "24",
      model: { name: "example", version: "1.0.0", digest: "sha256:abc" },
      release: "green",
      build: "7",
    });
  });

  test("counts what it scores and what it refuses, by reason", async () => {
    const labels = 'model="example",version="1.0.0"';
    const count = async (): Promise<number[]> => {
      const failed = await metric(server, "nv_inference_request_failure");
      return [
        (await metric(server, "nv_inference_request_success"))[`{${labels}}`] ?? 0,
        (await metric(server, "nv_inference_count"))[`{${labels}}`] ?? 0,
        (await metric(server, "aiapp_score_seconds_count"))[`{${labels}}`] ?? 0,
        failed[`{${labels},reason="REQUEST_INVALID"}`] ?? 0,
        failed[`{${labels},reason="IMAGE_INVALID"}`] ?? 0,
      ];
    };
    const before = await count();
    await score(server, { input: [FLOWER, FLOWER, FLOWER] });
    await score(server, { input: [FLOWER] });
    await score(server, { input: "nonsense" });
    await score(server, Buffer.alloc(0));
    await ask(server, "/nowhere");
    await ask(server, "/v2/health/ready");
    const after = await count();
    expect(after.map((value, index) => value - (before[index] ?? 0))).toEqual([2, 4, 2, 1, 1]);
    expect(await metric(server, "nv_inference_pending_request_count")).toEqual({ "": 0 });
    expect(Object.keys(await metric(server, "process_cpu_seconds_total"))).toEqual([""]);
  });

  test("counts a request as refused when the model's answer is not a number", async () => {
    const labels = 'model="example",version="1.0.0"';
    const count = async (): Promise<number[]> => [
      (await metric(server, "nv_inference_request_success"))[`{${labels}}`] ?? 0,
      (await metric(server, "nv_inference_request_failure"))[
        `{${labels},reason="REQUEST_INVALID"}`
      ] ?? 0,
    ];
    const [succeeded = 0, refused = 0] = await count();
    expect(await score(server, { input: [[3e38, 3e38, 3e38, 3e38]] })).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/^the model's answer to input\[0\] is not a number/) },
    });
    expect(await count()).toEqual([succeeded, refused + 1]);
  });

  test("shows its metrics under one path only", async () => {
    const response = await fetch(`http://127.0.0.1:${server.metricsPort}/`);
    expect(response.status).toBe(404);
  });
});

describe("what is no valid HTTP", () => {
  test.each([
    ["a request line", "GET / \r\n\r\n", 400, /not valid HTTP/],
    ["a header", "GET / HTTP/1.1\r\nhost server\r\n\r\n", 400, /not valid HTTP/],
    [
      "headers that are too large",
      `GET / HTTP/1.1\r\nhost: server\r\nx: ${"x".repeat(20_000)}\r\n\r\n`,
      431,
      /^the path and headers have more than 16 KiB: /,
    ],
  ])("is answered in the server's own form: %s", async (_, bytes, status, message) => {
    const server = await start(IRIS);
    onTestFinished(async () => server.close());
    await using client = await connectRaw(server.port);
    client.write(bytes);
    const [answer] = await client.ended();
    expect(answer?.status).toBe(status);
    expect(JSON.parse(answer?.body ?? "")).toEqual({ error: expect.stringMatching(message) });
  });
});

describe("more at once than may wait", () => {
  test("get 503 with Retry-After; the others are answered", async () => {
    const server = await start(IRIS, { MAX_QUEUE: "1", WORKERS: "1" });
    onTestFinished(async () => server.close());
    await server.loaded;
    // In one piece, so that all have come before the thread can answer the first.
    await using client = await connectRaw(server.port);
    client.write(post("/score", { input: [FLOWER] }).repeat(10));
    const answers = await client.answers(10);
    const refused = answers.filter(({ status }) => status === 503);
    expect(answers.slice(0, 2).map(({ status }) => status)).toEqual([200, 200]);
    expect(refused.length).toBeGreaterThan(0);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10 - refused.length);
    for (const { headers, body } of refused) {
      expect(headers.get("retry-after")).toBe("1");
      expect(JSON.parse(body)).toEqual({
        error: "too many requests wait: try again in a moment",
      });
    }
    expect((await score(server, { input: [FLOWER] })).status).toBe(200);
    const failures = await metric(server, "nv_inference_request_failure");
    expect(Object.entries(failures)).toEqual([
      [expect.stringContaining('reason="OVERLOADED"'), refused.length],
    ]);
  });
});

describe("a start", () => {
  let folder: string;
  let server: Server | undefined;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "aiapp-server-"));
  });
  afterEach(async () => {
    await server?.close();
    server = undefined;
    await rm(folder, { recursive: true });
  });

  /** The model of the folder, with some of its files replaced. */
  async function bundle(from: string, files: Readonly<Record<string, unknown>>): Promise<void> {
    await cp(from, folder, { recursive: true });
    for (const [path, content] of Object.entries(files))
      await writeFile(
        join(folder, path),
        typeof content === "string" ? content : JSON.stringify(content),
      );
  }

  async function sample(
    from: string,
  ): Promise<{ request: { input: string[] }; expected: unknown[] }> {
    return JSON.parse(await readFile(join(from, "samples", "1.json"), "utf8")) as never;
  }

  async function refusal(): Promise<unknown> {
    server = await start(folder);
    return server.loaded.then(
      () => "loaded",
      (error: unknown) => error,
    );
  }

  // Three thousand images: half a minute where other work runs beside.
  const SLOW = { timeout: 120_000 };
  test(
    "answers at once that it lives and loads, and is ready once the samples are answered",
    SLOW,
    async () => {
      const from = digits("2");
      const { request, expected } = await sample(from);
      // Enough of them to be still busy when the requests come.
      const many = {
        request: { input: Array(1024).fill(request.input[0]) },
        expected: Array(1024).fill(expected[0]),
      };
      await bundle(from, {
        "samples/1.json": many,
        "samples/2.json": many,
        "samples/3.json": many,
      });
      server = await start(folder, { MODEL_VERSION: "2" });
      const [live, ready, home, refused] = await Promise.all([
        ask(server, "/v2/health/live"),
        ask(server, "/v2/health/ready"),
        ask(server, "/"),
        score(server, request),
      ]);
      expect(live).toMatchObject({ status: 200, body: { live: true } });
      expect(ready).toMatchObject({ status: 503, body: { ready: false } });
      expect(home).toMatchObject({ status: 200, body: { status: "loading" } });
      expect(refused).toMatchObject({
        status: 503,
        body: { error: "the model is being loaded: try again soon" },
      });
      expect(refused.headers.get("retry-after")).toBe("1");
      expect(refused.headers.get("aiapp-model-version")).toBe("2");

      const state = { loaded: false };
      void server.loaded.then(() => (state.loaded = true));
      const meanwhile: { status: number; loaded: boolean }[] = [];
      while (!state.loaded) {
        const { status } = await ask(server, "/v2/health/ready");
        meanwhile.push({ status, ...state });
      }
      expect(meanwhile).toContainEqual({ status: 503, loaded: false });
      expect(meanwhile).not.toContainEqual({ status: 200, loaded: false });
      expect(await ask(server, "/v2/health/ready")).toMatchObject({
        status: 200,
        body: { ready: true },
      });
      expect(await ask(server, "/")).toMatchObject({ body: { status: "ready" } });
      expect((await score(server, request)).status).toBe(200);
    },
  );

  test("fails with a model that the runtime refuses, and goes on saying that it is not ready", async () => {
    await bundle(IRIS, { "model.onnx": "weights" });
    expect(await refusal()).toMatchObject({
      code: "MODEL_LOAD_FAILED",
      message: expect.stringMatching(/^the runtime rejects model\.onnx: ./),
    });
    if (server === undefined) throw new Error("nothing was started");
    expect((await ask(server, "/v2/health/ready")).status).toBe(503);
    expect((await score(server, { input: [FLOWER] })).status).toBe(503);
  });

  test.each([
    [
      "another label",
      [
        [
          ["setosa", 71.0504],
          ["setosa", 28.8199],
          ["virginica", 0.1297],
        ],
      ],
      'answer[0][0][0] is "versicolor", not "setosa"',
    ],
    [
      "another percentage",
      [
        [
          ["versicolor", 71.07],
          ["setosa", 28.8199],
          ["virginica", 0.1297],
        ],
      ],
      "answer[0][0][1] is 71.0504, not 71.07",
    ],
    ["fewer classes", [[["versicolor", 71.0504]]], "answer[0] is "],
    ["more rows", [[], []], "answer is "],
    ["no rows", null, "answer is "],
  ])(
    "fails when a sample expects %s, and names the difference",
    async (_, expected, difference) => {
      await bundle(IRIS, { "samples/1.json": { request: { input: [FLOWER] }, expected } });
      expect(await refusal()).toMatchObject({
        code: "SAMPLE_MISMATCH",
        message: expect.stringContaining(
          `the answer to samples/1.json differs from what the bundle expects: ${difference}`,
        ),
      });
    },
  );

  test("takes a sample that is as near as its tolerance", async () => {
    const expected = [
      [
        ["versicolor", 71.5],
        ["setosa", 28.5],
        ["virginica", 0],
      ],
    ];
    const request = { input: [FLOWER] };
    await bundle(IRIS, { "samples/1.json": { request, expected, tolerance: 0.5 } });
    expect(await refusal()).toBe("loaded");
  });

  test("fails when labels and model do not fit", async () => {
    await bundle(IRIS, { "labels.txt": "setosa\nversicolor\n" });
    expect(await refusal()).toMatchObject({
      code: "BUNDLE_INVALID",
      message: "labels.txt has 2 lines, the model 3 classes",
    });
  });

  test.each([
    [
      "has another size",
      { width: 9, height: 8, channels: "grey" },
      "preprocessing.json makes images of shape [1, 8, 9], the model takes [any, 1, 8, 8]",
    ],
    [
      "has another layout",
      { width: 8, height: 8, channels: "grey", layout: "NHWC" },
      "preprocessing.json makes images of shape [8, 8, 1], the model takes [any, 1, 8, 8]",
    ],
    [
      "has colours",
      { width: 8, height: 8 },
      "preprocessing.json makes images of shape [3, 8, 8], the model takes [any, 1, 8, 8]",
    ],
    [
      "names another input",
      { width: 8, height: 8, channels: "grey", input: "pixels" },
      "preprocessing.json names the input pixels; the model has input",
    ],
  ])("fails when preprocessing %s", async (_, preprocessing, message) => {
    await bundle(digits("1"), { "preprocessing.json": preprocessing });
    expect(await refusal()).toMatchObject({ code: "BUNDLE_INVALID", message });
  });

  test("without labels answers the numbers themselves", async () => {
    await bundle(IRIS, {
      "samples/1.json": { request: [FLOWER], expected: [[0.2882, 0.7105, 0.0013]] },
    });
    await rm(join(folder, "labels.txt"));
    server = await start(folder);
    await server.loaded;
    const [row = []] = rows(await score(server, { input: [FLOWER] })) as unknown as number[][];
    expect(row).toHaveLength(3);
    expect(row.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
  });

  test.each(["PORT", "METRICS_PORT"])(
    "fails where something else listens on its %s, and listens nowhere itself",
    async (variable) => {
      server = await start(IRIS);
      const taken = server.port;
      const free = await start(IRIS);
      await free.close();
      const other = variable === "PORT" ? "METRICS_PORT" : "PORT";
      const refused = start(IRIS, { [variable]: `${taken}`, [other]: `${free.port}` });
      await expect(refused).rejects.toMatchObject({
        code: "LISTEN_FAILED",
        message: expect.stringMatching(
          new RegExp(
            `^cannot listen on port ${taken} of 127\\.0\\.0\\.1 \\(.*EADDRINUSE.*\\): set another ${variable} or`,
          ),
        ),
      });
      await expect(connectRaw(free.port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    },
  );

  test("may be closed before the model is there, and leaves no thread behind", async () => {
    const threads = new Set<Worker>();
    const seen = (worker: Worker): void => {
      threads.add(worker);
      worker.once("exit", () => threads.delete(worker));
    };
    process.on("worker", seen);
    onTestFinished(() => void process.off("worker", seen));
    server = await start(IRIS, { WORKERS: "2" });
    await vi.waitFor(() => expect(threads.size).toBe(2), { timeout: 10_000, interval: 1 });
    await server.close();
    expect(threads.size).toBe(0);
    await server.loaded;
  });
});
