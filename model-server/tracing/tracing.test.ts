import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, onTestFinished, test, vi } from "vitest";

import { readConfig } from "../config.ts";
import { errors } from "../errors.ts";
import { call, connectTo, inference } from "../grpc/client.testing.ts";
import { connectRaw, post } from "../http/raw.testing.ts";
import { ADD, identity, infer, send, tensor } from "../infer.testing.ts";
import { createLogger } from "../log.ts";
import { buildModel } from "../onnx/build.testing.ts";
import { copyOf, score, startOn, type BundleFiles } from "../serve.testing.ts";
import type { Server } from "../server.ts";
import { startCollector, startHanging, type Received } from "./collector.testing.ts";

const PARENT = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT = `00-${PARENT}-b7ad6b7169203331-01`;
const BOUND = { timeout: 20_000, interval: 10 };
const INFER = "/v2/models/model/infer";
const request = { inputs: [tensor("x", "FP32", [1, 2], [1, 2])] };

async function serveTraced(
  files: BundleFiles,
  collector: { readonly url: string },
  environment: NodeJS.ProcessEnv = {},
): Promise<Server> {
  const { server, close } = await startOn(files, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_BSP_SCHEDULE_DELAY: "10",
    ...environment,
  });
  onTestFinished(close);
  await server.loaded;
  return server;
}

function named(spans: readonly Received[], name: string): Received {
  const found = spans.find((span) => span.name === name);
  if (found === undefined) throw new Error(`no ${name} in ${spans.map((one) => one.name).join()}`);
  return found;
}

function expectWithin(child: Received, parent: Received): void {
  expect(child).toMatchObject({ traceId: parent.traceId, parentId: parent.spanId, kind: 1 });
  expect(child.began).toBeGreaterThanOrEqual(parent.began);
  expect(child.ended).toBeLessThanOrEqual(parent.ended);
}

describe("a request over HTTP", () => {
  test("has a span below its caller's, and one for each of its stages", async () => {
    const collector = await startCollector();
    const server = await serveTraced({ "model.onnx": ADD }, collector, {
      MODEL_NAME: "add",
      MODEL_VERSION: "7",
      AIAPP_RELEASE: "5d8f6c7b9a",
    });
    const inputs = ["a", "b"].map((name) => tensor(name, "FP32", [2, 3], Array(6).fill(0)));
    const headers = { traceparent: TRACEPARENT, "x-request-id": "order-1" };
    const path = "/v2/models/add/infer";
    const { status } = await send(server, JSON.stringify({ inputs }), headers, path);
    expect(status).toBe(200);
    const spans = await collector.atLeast(5);
    const root = named(spans, "POST /v2/models/:name/infer");
    expect(root).toMatchObject({
      kind: 2,
      traceId: PARENT,
      parentId: "b7ad6b7169203331",
      status: { code: 0 },
      attributes: {
        "http.request.method": "POST",
        "http.route": "/v2/models/:name/infer",
        "http.response.status_code": 200,
        "aiapp.request_id": "order-1",
      },
      resource: {
        "service.name": "add",
        "service.version": "7",
        "aiapp.release": "5d8f6c7b9a",
      },
    });
    const names = ["decode", "queue", "run", "encode"];
    const children = names.map((name) => named(spans, name));
    for (const child of children) expectWithin(child, root);
    const times = children.flatMap(({ began, ended }) => [began, ended]);
    expect(times).toEqual(times.toSorted((a, b) => (a < b ? -1 : 1)));
    expect(named(spans, "run").attributes).toEqual({
      "aiapp.batch.rows": 2,
      "aiapp.batch.requests": 1,
      "aiapp.compute_ms": expect.any(Number),
    });
    expect(spans).toHaveLength(5);
  });

  test("shows the requests and rows that shared its run", async () => {
    const collector = await startCollector();
    const server = await serveTraced(identity("float"), collector, { BATCHING: "on" });
    // In one packet: all but the first wait for its run.
    await using client = await connectRaw(server.port);
    client.write(post(INFER, request).repeat(30));
    await client.answers(30);
    const spans = await collector.atLeast(150);
    const runs = spans.filter(({ name }) => name === "run").map(({ attributes }) => attributes);
    expect(runs).toHaveLength(30);
    for (const run of runs) expect(run["aiapp.batch.rows"]).toBe(run["aiapp.batch.requests"]);
    expect(Math.max(...runs.map((run) => Number(run["aiapp.batch.rows"])))).toBeGreaterThan(1);
  });

  test("of images shows their decoding, and each of its runs", async () => {
    const digits = join(import.meta.dirname, "..", "..", "examples", "digits");
    const collector = await startCollector();
    const names = ["model.onnx", "labels.txt", "preprocessing.json"];
    const files = names.map((name) => [name, copyOf(join(digits, "models", "2", name))] as const);
    const server = await serveTraced(Object.fromEntries(files), collector, { MAX_BATCH_ROWS: "2" });
    const form = new FormData();
    const picture = Uint8Array.from(await readFile(join(digits, "pictures", "3.png")));
    for (const field of ["a", "b", "c"]) form.set(field, new Blob([picture]));
    const response = await fetch(`http://127.0.0.1:${server.port}/score`, {
      method: "POST",
      body: form,
    });
    expect(response.status).toBe(200);
    const spans = await collector.atLeast(9);
    const root = named(spans, "POST /score");
    expect(root.parentId).toBe("");
    const children = spans.filter((span) => span !== root);
    for (const child of children) expectWithin(child, root);
    const decoded = children.filter(({ name }) => name === "decode images");
    expect(decoded.map(({ attributes }) => attributes["aiapp.images"])).toEqual([2, 1]);
    expect(children.filter(({ name }) => name === "run")).toHaveLength(2);
  });

  test("that is refused shows the error's code, and neither message nor body", async () => {
    const collector = await startCollector();
    const server = await serveTraced(identity("float"), collector);
    const path = `${INFER}?secret-query`;
    const body = JSON.stringify({
      inputs: [{ name: "secret-name", shape: [1], datatype: "FP32" }],
    });
    const { status } = await send(server, body, { cookie: "secret-cookie" }, path);
    expect(status).toBe(400);
    const [span] = await collector.atLeast(1);
    expect(span?.attributes).toMatchObject({
      "http.response.status_code": 400,
      "error.type": "REQUEST_INVALID",
    });
    // By the conventions a fault of the client is no error of the server.
    expect(span?.status.code).toBe(0);
    expect(collector.bytes().includes("secret")).toBe(false);
  });

  test("that the server fails is an error, with what its code means", async () => {
    const collector = await startCollector();
    const model = buildModel({
      nodes: [{ op: "ConstantOfShape", inputs: ["x"], outputs: ["y"] }],
      inputs: [{ name: "x", type: "int64", dims: [1] }],
      outputs: [{ name: "y", type: "float", dims: ["length"] }],
    });
    const server = await serveTraced({ "model.onnx": model }, collector);
    expect((await score(server, { input: ["4611686018427387"] })).status).toBe(503);
    const spans = await collector.atLeast(3);
    expect(named(spans, "POST /score")).toMatchObject({
      attributes: { "http.response.status_code": 503, "error.type": "OUT_OF_MEMORY" },
      status: { code: 2, message: errors.OUT_OF_MEMORY.summary },
    });
    expect(spans.map(({ name }) => name).toSorted()).toEqual(["POST /score", "decode", "queue"]);
  });

  test("whose client goes away says so", async () => {
    const collector = await startCollector();
    const server = await serveTraced(identity("float"), collector);
    await using client = await connectRaw(server.port);
    client.write(`POST ${INFER} HTTP/1.1\r\nhost: server\r\ncontent-length: 100000\r\n\r\n{`);
    await vi.waitFor(async () => {
      client.write(" ");
      client.vanish();
      await collector.atLeast(1);
    }, BOUND);
    expect(collector.spans[0]?.attributes).toMatchObject({
      "http.response.status_code": 499,
      "error.type": "CLIENT_GONE",
    });
  });

  test("has no span where it scores nothing", async () => {
    const collector = await startCollector();
    const server = await serveTraced(identity("float"), collector);
    for (const path of ["/v2/health/ready", "/v2/models/model", "/version", "/none"])
      await (await fetch(`http://127.0.0.1:${server.port}${path}`)).arrayBuffer();
    await infer(server, request);
    await server.close();
    expect(collector.spans.filter(({ kind }) => kind === 2)).toHaveLength(1);
  });
});

describe("a request over gRPC", () => {
  test("has the same spans, below the one that its metadata names", async () => {
    const collector = await startCollector();
    const server = await serveTraced(identity("float"), collector, { GRPC_PORT: "0" });
    const headers = { traceparent: TRACEPARENT, "x-request-id": "order-1" };
    const values = Buffer.from(Float32Array.of(1, 2).buffer);
    const inputs = [{ name: "x", datatype: "FP32", shape: [1, 2] }];
    const message = { model_name: "model", inputs, raw_input_contents: [values] };
    const { code } = await call(connectTo(server), inference, "ModelInfer", message, headers);
    expect(code).toBe(0);
    const spans = await collector.atLeast(5);
    const root = named(spans, "inference.GRPCInferenceService/ModelInfer");
    expect(root).toMatchObject({
      kind: 2,
      traceId: PARENT,
      parentId: "b7ad6b7169203331",
      attributes: {
        "rpc.system.name": "grpc",
        "rpc.method": "inference.GRPCInferenceService/ModelInfer",
        "rpc.status_code": "OK",
        "aiapp.request_id": "order-1",
      },
    });
    for (const name of ["decode", "queue", "run", "encode"]) expectWithin(named(spans, name), root);
  });

  test("that is refused shows the error's code", async () => {
    const collector = await startCollector();
    const server = await serveTraced(identity("float"), collector, { GRPC_PORT: "0" });
    const message = { model_name: "secret" };
    expect((await call(connectTo(server), inference, "ModelInfer", message)).code).toBe(5);
    const [span] = await collector.atLeast(1);
    expect(span?.attributes).toMatchObject({
      "rpc.status_code": "NOT_FOUND",
      "error.type": "NOT_FOUND",
    });
    expect(collector.bytes().includes("secret")).toBe(false);
  });
});

describe("with API keys", () => {
  test("no key is in a span, and a request without a valid one has none", async () => {
    const folder = await mkdtemp(join(tmpdir(), "aiapp-traces-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, "keys");
    await writeFile(file, "first-key-0123456789\n");
    const collector = await startCollector();
    const server = await serveTraced(identity("float"), collector, { API_KEYS_FILE: file });
    const statuses: number[] = [];
    for (const key of ["other-key-0123456789", "first-key-0123456789"]) {
      const headers = { authorization: `Bearer ${key}` };
      statuses.push((await send(server, JSON.stringify(request), headers)).status);
    }
    expect(statuses).toEqual([401, 200]);
    await server.close();
    expect(collector.spans).toHaveLength(5);
    expect(collector.bytes().includes("key-0123456789")).toBe(false);
  });
});

describe("a collector that is no help", () => {
  test("that hangs delays no request, and the end by a few seconds at most", async () => {
    const hanging = await startHanging();
    const server = await serveTraced(identity("float"), hanging, {
      OTEL_BSP_MAX_QUEUE_SIZE: "10",
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "5",
      DRAIN_QUIET_SECONDS: "0",
    });
    for (let sent = 0; sent < 100; sent += 1)
      expect((await infer(server, request)).status).toBe(200);
    await vi.waitFor(() => expect(hanging.requests()).toBeGreaterThan(0), BOUND);
    const began = performance.now();
    await server.drain();
    expect(performance.now() - began).toBeLessThan(8000);
  });

  test("that answers with errors is logged once, without what it said, and once when it works", async () => {
    const lines: string[] = [];
    const log = createLogger("info", { write: (line: string) => void lines.push(line) });
    let status = 400;
    const broken = createServer((_, response) => response.writeHead(status).end("secret-answer"));
    broken.listen(0, "127.0.0.1");
    await once(broken, "listening");
    onTestFinished(() => void broken.close());
    const { port } = broken.address() as AddressInfo;
    const { server, close } = await startOn(
      identity("float"),
      { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_BSP_SCHEDULE_DELAY: "1" },
      log,
    );
    onTestFinished(close);
    await server.loaded;
    const warnings = (): readonly string[] => lines.filter((line) => line.includes("traces"));
    await infer(server, request);
    await vi.waitFor(() => expect(warnings()).toHaveLength(1), BOUND);
    for (let sent = 0; sent < 10; sent += 1) await infer(server, request);
    status = 200;
    await vi.waitFor(async () => {
      await infer(server, request);
      expect(warnings().length).toBeGreaterThan(1);
    }, BOUND);
    await server.close();
    expect(warnings()).toEqual([
      expect.stringContaining("traces are not exported"),
      expect.stringContaining("traces are exported again"),
    ]);
    expect(lines.join("")).not.toContain("secret-answer");
  });
});

describe("the standard variables", () => {
  test("choose which traces are sent", async () => {
    const collector = await startCollector();
    const server = await serveTraced(identity("float"), collector, {
      OTEL_TRACES_SAMPLER: "parentbased_always_off",
    });
    await infer(server, request);
    await send(server, JSON.stringify(request), { traceparent: TRACEPARENT.replace(/1$/, "0") });
    await send(server, JSON.stringify(request), { traceparent: TRACEPARENT });
    await server.close();
    expect(collector.spans).toHaveLength(5);
    expect(new Set(collector.spans.map(({ traceId }) => traceId))).toEqual(new Set([PARENT]));
  });

  test.each([
    [{}, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "" }, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://a:4318", OTEL_SDK_DISABLED: "TRUE" }, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://a:4318", OTEL_TRACES_EXPORTER: "none" }, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://a:4318" }, "http://a:4318/v1/traces"],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "https://a/otlp/" }, "https://a/otlp/v1/traces"],
    [
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://a:4318",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://b/x",
      },
      "http://b/x",
    ],
  ])("%j send traces to %s", (environment, url) => {
    expect(readConfig(environment).tracing?.url).toBe(url);
  });

  test.each([
    ["always_off", undefined, { followsParent: false, ratio: 0 }],
    ["traceidratio", "0.25", { followsParent: false, ratio: 0.25 }],
    ["parentbased_traceidratio", "0.5", { followsParent: true, ratio: 0.5 }],
    ["", undefined, { followsParent: true, ratio: 1 }],
  ])("the sampler %j with %j is %j", (OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG, sampler) => {
    const environment = { OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG };
    const config = readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://a:4318", ...environment });
    expect(config.tracing?.sampler).toEqual(sampler);
  });

  test.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" }, /must be a URL such as/],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }, /must be http\/protobuf/],
    [{ OTEL_TRACES_EXPORTER: "zipkin" }, /must be otlp or none/],
    [{ OTEL_TRACES_SAMPLER: "xray" }, /OTEL_TRACES_SAMPLER/],
    [{ OTEL_BSP_MAX_QUEUE_SIZE: "0" }, /OTEL_BSP_MAX_QUEUE_SIZE/],
  ])("%j end the start", (environment, message) => {
    expect(() => readConfig(environment)).toThrow(message);
  });

  test("reach OpenTelemetry's libraries in a server of its own, which sends its last spans on SIGTERM", async () => {
    const collector = await startCollector();
    const folder = await mkdtemp(join(tmpdir(), "aiapp-traces-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, "model.onnx"), ADD);
    const child = spawn(process.execPath, [join(import.meta.dirname, "..", "main.ts")], {
      stdio: ["ignore", "pipe", "inherit"],
      env: {
        ...process.env,
        MODEL_DIR: folder,
        HOST: "127.0.0.1",
        PORT: "0",
        METRICS_PORT: "0",
        WORKERS: "1",
        DRAIN_QUIET_SECONDS: "0",
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_HEADERS: "x-tenant=shop,authorization=Basic%20c2VjcmV0",
        OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test,service.version=9",
        OTEL_SERVICE_NAME: "prices",
        OTEL_BSP_SCHEDULE_DELAY: "3600000",
      },
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const exited = once(child, "exit");
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    await vi.waitFor(() => expect(text).toContain('"ready"'), BOUND);
    const port = Number(/"port":(\d+)/.exec(text)?.[1]);
    const inputs = ["a", "b"].map((name) => tensor(name, "FP32", [1, 3], [1, 2, 3]));
    const body = JSON.stringify({ inputs });
    const response = await fetch(`http://127.0.0.1:${port}${INFER}`, { method: "POST", body });
    expect(response.status).toBe(200);
    await response.arrayBuffer();
    expect(collector.spans).toEqual([]);
    child.kill("SIGTERM");
    expect((await exited)[0]).toBe(0);
    expect(collector.spans).toHaveLength(5);
    expect(collector.spans[0]?.resource).toMatchObject({
      "service.name": "prices",
      "service.version": "9",
      "deployment.environment.name": "test",
    });
    expect(collector.headers[0]).toMatchObject({
      "x-tenant": "shop",
      authorization: "Basic c2VjcmV0",
    });
    expect(collector.bytes().includes("c2VjcmV0")).toBe(false);
  });
});
