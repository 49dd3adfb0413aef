import { describe, expect, onTestFinished, test, vi } from "vitest";

import { readConfig } from "../config.ts";
import { ADD } from "../infer.testing.ts";
import { createLogger } from "../log.ts";
import { startOn } from "../serve.testing.ts";
import type { Server } from "../server.ts";
import { statusOf } from "./call.ts";
import { call, connectTo, inference } from "./client.testing.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const BOUND = { timeout: 20_000, interval: 10 };

type Line = Readonly<Record<string, unknown>>;

async function serveLogged(
  environment: NodeJS.ProcessEnv = {},
): Promise<{ readonly server: Server; readonly requests: () => readonly Line[] }> {
  const lines: Line[] = [];
  const log = createLogger("info", {
    write: (line: string) => void lines.push(JSON.parse(line) as Line),
  });
  const { server, close } = await startOn(
    { "model.onnx": ADD },
    { GRPC_PORT: "0", ...environment },
    log,
  );
  onTestFinished(close);
  await server.loaded;
  return { server, requests: () => lines.filter(({ msg }) => msg === "request") };
}

const message = {
  model_name: "model",
  inputs: ["a", "b"].map((name) => ({
    name,
    datatype: "FP32",
    shape: [1, 3],
    contents: { fp32_contents: [1, 2, 3] },
  })),
};

describe("the id of a call", () => {
  test("is the client's own, in the answer's headers, an error's trailers and the log", async () => {
    const { server, requests } = await serveLogged({ ACCESS_LOG: "on" });
    const client = connectTo(server);
    const headers = { "x-request-id": "order-1", authorization: "Bearer secret" };
    const answered = await call(client, inference, "ModelInfer", message, headers);
    const other = { ...headers, "x-request-id": "order-2" };
    const refused = await call(client, inference, "ModelInfer", { model_name: "secret" }, other);
    expect(answered.metadata.get("x-request-id")).toEqual(["order-1"]);
    expect(refused.metadata.get("x-request-id")).toEqual(["order-2"]);
    await vi.waitFor(() => expect(requests()).toHaveLength(2), BOUND);
    const method = "/inference.GRPCInferenceService/ModelInfer";
    expect(requests()).toMatchObject([
      { id: "order-1", method, status: "OK", ms: expect.any(Number) },
      { id: "order-2", method, status: "NOT_FOUND", ms: expect.any(Number) },
    ]);
    expect(JSON.stringify(requests())).not.toContain("secret");
  });

  test.each([
    ["there is none", undefined],
    ["it is too long", "x".repeat(129)],
    ["it has spaces", "order 1"],
  ])("is a new one where %s", async (_, given) => {
    const { server } = await serveLogged();
    const headers = given === undefined ? {} : { "x-request-id": given };
    const { metadata } = await call(connectTo(server), inference, "ServerLive", {}, headers);
    expect(metadata.get("x-request-id")).toEqual([expect.stringMatching(UUID)]);
  });

  test("is that of all messages of a stream", async () => {
    const { server, requests } = await serveLogged({ ACCESS_LOG: "on" });
    const method = inference["ModelStreamInfer"];
    if (method === undefined) throw new Error("there is no ModelStreamInfer");
    const stream = connectTo(server).makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
    );
    let headers: unknown;
    stream.on("metadata", (metadata) => {
      headers = metadata.get("x-request-id");
    });
    const answers: unknown[] = [];
    stream.on("data", (answer) => answers.push(answer));
    stream.write(message);
    stream.write({ model_name: "other" });
    stream.end();
    await vi.waitFor(() => expect(answers).toHaveLength(2), BOUND);
    const [id] = headers as readonly string[];
    expect(id).toMatch(UUID);
    expect(requests()).toMatchObject([
      { id, status: "OK" },
      { id, status: "NOT_FOUND" },
    ]);
  });

  test("is not logged unless asked for", async () => {
    const { server, requests } = await serveLogged();
    await call(connectTo(server), inference, "ModelInfer", message);
    expect(requests()).toEqual([]);
  });

  test("is logged with a fault of the server", () => {
    const lines: string[] = [];
    const log = createLogger("info", { write: (line: string) => void lines.push(line) });
    const refusal = statusOf(new Error("the cause"), { config: readConfig({}), log }, "order-1");
    expect(refusal.metadata?.get("x-request-id")).toEqual(["order-1"]);
    expect(JSON.parse(lines.join(""))).toMatchObject({
      id: "order-1",
      msg: "request failed",
      error: { message: "the cause" },
    });
  });
});
