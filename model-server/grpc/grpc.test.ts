import { once } from "node:events";
import * as http2 from "node:http2";

import { status } from "@grpc/grpc-js";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";

import { ADD, identity, serving } from "../infer.testing.ts";
import { buildModel } from "../onnx/build.testing.ts";
import { startOn } from "../serve.testing.ts";
import type { Server } from "../server.ts";
import { call, connectTo, health, inference, type Called } from "./client.testing.ts";

const BOUND = { timeout: 20_000, interval: 10 };
function floats(...values: number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer);
}

const input = (name: string, fields: object = {}): object => ({
  name,
  datatype: "FP32",
  shape: [1, 3],
  ...fields,
});

describe("inference over gRPC", () => {
  let server: Server;
  let close: () => Promise<void>;
  beforeAll(async () => {
    ({ server, close } = await startOn(
      { "model.onnx": ADD },
      { GRPC_PORT: "0", MODEL_VERSION: "7", AIAPP_RELEASE: "5d8f6c7b9a" },
    ));
    await server.loaded;
  });
  afterAll(async () => close());

  const infer = async (message: object): Promise<Called> =>
    call(connectTo(server), inference, "ModelInfer", message);
  const fp32_contents = [1, 2, 3];

  test("takes typed contents, and names the release that answers", async () => {
    const { answer, metadata } = await infer({
      model_name: "model",
      id: "42",
      inputs: [
        input("a", { contents: { fp32_contents: [1, Number.NaN, 3] } }),
        input("b", { contents: { fp32_contents: [1, 1, Infinity] } }),
      ],
      outputs: [{ name: "sum" }],
    });
    expect(answer).toMatchObject({
      model_name: "model",
      model_version: "7",
      id: "42",
      outputs: [{ name: "sum", datatype: "FP32", shape: ["1", "3"] }],
      raw_output_contents: [floats(2, Number.NaN, Infinity)],
    });
    expect(metadata.getMap()).toMatchObject({
      "aiapp-release": "5d8f6c7b9a",
      "aiapp-model-version": "7",
    });
  });

  test.each<[string, object, number, RegExp]>([
    ["of another model", { model_name: "other" }, status.NOT_FOUND, /^there is no model "other"/],
    ["of another version", { model_name: "model", model_version: "8" }, status.NOT_FOUND, /"8"/],
    ["of no inputs", { model_name: "model" }, status.INVALID_ARGUMENT, /^the input a is missing/],
    [
      "with fewer raw contents than inputs",
      { model_name: "model", inputs: [input("a"), input("b")], raw_input_contents: [floats(1)] },
      status.INVALID_ARGUMENT,
      /^1 raw_input_contents for 2 inputs/,
    ],
    [
      "with raw and typed contents",
      {
        model_name: "model",
        inputs: [input("a", { contents: { fp32_contents } })],
        raw_input_contents: [floats(1, 2, 3)],
      },
      status.INVALID_ARGUMENT,
      /both contents and raw_input_contents/,
    ],
    [
      "with raw contents of another size",
      { model_name: "model", inputs: [input("a")], raw_input_contents: [floats(1, 2)] },
      status.INVALID_ARGUMENT,
      /^the input "a" has 8 bytes; FP32 of shape \[1, 3\] needs 12$/,
    ],
    [
      "with contents of another type",
      { model_name: "model", inputs: [input("a", { contents: { fp64_contents: [1, 2, 3] } })] },
      status.INVALID_ARGUMENT,
      /^the input "a" has 0 fp32_contents/,
    ],
    [
      "of a negative dimension",
      {
        model_name: "model",
        inputs: [input("a", { shape: [-1, 3], contents: { fp32_contents } })],
      },
      status.INVALID_ARGUMENT,
      /^the input "a" has a dimension that is no size/,
    ],
    [
      "of an overflowing shape",
      { model_name: "model", inputs: [input("a", { shape: ["4294967296", "4294967296"] })] },
      status.INVALID_ARGUMENT,
      /too large/,
    ],
    [
      "with an input twice",
      {
        model_name: "model",
        inputs: [
          input("a", { contents: { fp32_contents } }),
          input("a", { contents: { fp32_contents } }),
        ],
      },
      status.INVALID_ARGUMENT,
      /^the input "a" is there twice/,
    ],
    [
      "of too many classes",
      {
        model_name: "model",
        outputs: [{ name: "sum", parameters: { classification: { int64_param: "1001" } } }],
      },
      status.INVALID_ARGUMENT,
      /from 0 to 1000$/,
    ],
    [
      "of bytes that are no message",
      Buffer.from([0xff]),
      status.INVALID_ARGUMENT,
      /^the message is not/,
    ],
  ])("refuses a request %s", async (_, message, code, details) => {
    const { metadata, ...refused } = await infer(message);
    expect(refused).toMatchObject({ code, details: expect.stringMatching(details) });
    expect(metadata.get("aiapp-release")).toEqual(["5d8f6c7b9a"]);
  });

  test("never calls malformed bytes a fault of the server", async () => {
    const client = connectTo(server);
    const method = inference["ModelInfer"];
    const valid = method?.requestSerialize({
      model_name: "model",
      inputs: [input("a"), input("b")],
      raw_input_contents: [floats(1, 2, 3), floats(4, 5, 6)],
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }),
        fc.nat({ max: 3 }),
        async (changes, cut) => {
          const bytes = Buffer.from(valid ?? []);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          const { code, details } = await call(
            client,
            inference,
            "ModelInfer",
            bytes.subarray(0, bytes.length - cut),
          );
          expect([
            status.OK,
            status.INVALID_ARGUMENT,
            status.NOT_FOUND,
            status.UNIMPLEMENTED,
          ]).toContain(code);
          expect(details).not.toMatch(/\/(tmp|app|home|root|work)\b|node_modules|\.ts\b/);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("serves on while it drains: clients that are asked to go come back, and none sees it", async () => {
    const own = await startOn(
      { "model.onnx": ADD },
      { GRPC_PORT: "0", DRAIN_QUIET_SECONDS: "1", DRAIN_MAX_SECONDS: "30" },
    );
    onTestFinished(own.close);
    await own.server.loaded;
    const client = connectTo(own.server);
    const request = {
      model_name: "model",
      inputs: [input("a"), input("b")],
      raw_input_contents: [floats(1, 2, 3), floats(4, 5, 6)],
    };
    const ask = async (): Promise<number> =>
      (await call(client, inference, "ModelInfer", request)).code;
    expect(await ask()).toBe(status.OK);
    const drained = own.server.drain();
    const codes = new Set<number>();
    for (let count = 0; count < 500; count += 1) codes.add(await ask());
    expect([...codes]).toEqual([status.OK]);
    await drained;
    expect(await ask()).toBe(status.UNAVAILABLE);
  });
});

describe("a connection", () => {
  test("is asked to go when the drain begins, while new ones are served", async () => {
    const own = await startOn(
      { "model.onnx": ADD },
      { GRPC_PORT: "0", DRAIN_QUIET_SECONDS: "60", DRAIN_MAX_SECONDS: "60" },
    );
    onTestFinished(own.close);
    await own.server.loaded;
    const session = http2.connect(`http://127.0.0.1:${own.server.grpcPort}`);
    onTestFinished(() => session.destroy());
    await once(session, "remoteSettings");
    const goaway = once(session, "goaway");
    void own.server.drain();
    expect((await goaway)[0]).toBe(http2.constants.NGHTTP2_NO_ERROR);
    const { answer } = await call(connectTo(own.server), inference, "ServerReady", {});
    expect(answer).toEqual({ ready: true });
  });
});

describe("messages that never end", () => {
  const MEBIBYTE = 1024 * 1024;

  test("share the budget of bodies: what is beyond it is UNAVAILABLE, and it comes back", async () => {
    const own = await startOn(identity("float"), {
      GRPC_PORT: "0",
      MAX_BODY_BYTES_IN_FLIGHT: String(8 * MEBIBYTE),
    });
    onTestFinished(own.close);
    await own.server.loaded;
    const session = http2.connect(`http://127.0.0.1:${own.server.grpcPort}`, {
      maxSessionMemory: 100,
    });
    onTestFinished(() => session.destroy());
    session.on("error", () => {});
    const refused: unknown[] = [];
    // The length of a message of 60 MiB, and 1 MiB of it.
    const part = Buffer.alloc(MEBIBYTE);
    part.writeUInt32BE(60 * MEBIBYTE, 1);
    const streams = Array.from({ length: 20 }, () => {
      const stream = session.request({
        ":method": "POST",
        ":path": "/inference.GRPCInferenceService/ModelInfer",
        "content-type": "application/grpc",
        te: "trailers",
      });
      stream.on("error", () => {});
      stream.on("response", (headers) => refused.push(headers["grpc-status"]));
      stream.on("error", () => {});
      stream.write(part);
      return stream;
    });
    const unavailable = String(status.UNAVAILABLE);
    await vi.waitFor(() => expect(refused).toEqual(Array(12).fill(unavailable)), BOUND);
    const floats = 256 * 1024;
    const large = async (): Promise<number> =>
      (
        await call(connectTo(own.server), inference, "ModelInfer", {
          model_name: "model",
          inputs: [{ name: "x", datatype: "FP32", shape: [floats / 2, 2] }],
          raw_input_contents: [Buffer.alloc(4 * floats)],
        })
      ).code;
    expect(await large()).toBe(status.UNAVAILABLE);
    for (const stream of streams) stream.close();
    await vi.waitFor(async () => expect(await large()).toBe(status.OK), BOUND);
  });
});

describe("typed contents", () => {
  test.each([
    ["bool", "BOOL", { bool_contents: [true, false] }, [1, 0]],
    ["int8", "INT8", { int_contents: [-128, 127] }, [0x80, 0x7f]],
    ["uint16", "UINT16", { uint_contents: [1, 65535] }, [1, 0, 0xff, 0xff]],
    [
      "int64",
      "INT64",
      { int64_contents: ["9007199254740993", "-1"] },
      [1, 0, 0, 0, 0, 0, 0x20, 0, ...Array<number>(8).fill(0xff)],
    ],
    [
      "string",
      "BYTES",
      { bytes_contents: [Buffer.from("a"), Buffer.from("")] },
      [1, 0, 0, 0, 97, 0, 0, 0, 0],
    ],
  ] as const)("of %s become the tensor that they are", async (type, datatype, contents, bytes) => {
    const server = await serving(identity(type), { GRPC_PORT: "0" });
    const { answer } = await call(connectTo(server), inference, "ModelInfer", {
      model_name: "model",
      inputs: [{ name: "x", datatype, shape: [1, 2], contents }],
    });
    expect(answer?.["raw_output_contents"]).toEqual([Buffer.from(bytes)]);
  });

  test.each([
    ["beyond their datatype", "int8", "INT8", { int_contents: [128, 0] }, /which is no INT8$/],
    [
      "that are no UTF-8",
      "string",
      "BYTES",
      { bytes_contents: [Buffer.from([0xff]), Buffer.alloc(0)] },
      /not UTF-8/,
    ],
  ] as const)("%s are refused", async (_, type, datatype, contents, details) => {
    const server = await serving(identity(type), { GRPC_PORT: "0" });
    const refused = await call(connectTo(server), inference, "ModelInfer", {
      model_name: "model",
      inputs: [{ name: "x", datatype, shape: [1, 2], contents }],
    });
    expect(refused).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringMatching(details),
    });
  });
});

describe("the health service", () => {
  test.each([
    ["", "SERVING"],
    ["inference.GRPCInferenceService", "SERVING"],
  ])("answers for %j: %s", async (service, expected) => {
    const server = await serving({ "model.onnx": ADD }, { GRPC_PORT: "0" });
    const { answer } = await call(connectTo(server), health, "Check", { service });
    expect(answer).toEqual({ status: expected });
    expect(await call(connectTo(server), health, "Check", { service: "other" })).toMatchObject({
      code: status.NOT_FOUND,
    });
  });

  test("notifies its watchers when the model is ready", async () => {
    // Large enough to be still loading when the first answer is written.
    const slow = buildModel({
      nodes: Array.from({ length: 500 }, (_, index) => ({
        op: "Relu",
        inputs: [index === 0 ? "x" : `x${index}`],
        outputs: [index === 499 ? "y" : `x${index + 1}`],
      })),
      inputs: [{ name: "x", type: "float", dims: ["N", 1] }],
      outputs: [{ name: "y", type: "float", dims: ["N", 1] }],
    });
    const { server, close } = await startOn({ "model.onnx": slow }, { GRPC_PORT: "0" });
    onTestFinished(close);
    const method = health["Watch"];
    if (method === undefined) throw new Error("there is no Watch");
    const stream = connectTo(server).makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      { service: "" },
    );
    const seen: unknown[] = [];
    await new Promise<void>((resolve) => {
      stream.on("error", () => {});
      stream.on("data", (message: { readonly status: string }) => {
        seen.push(message.status);
        if (message.status === "SERVING") resolve();
      });
    });
    stream.cancel();
    expect(seen.at(-1)).toBe("SERVING");
    expect(seen.length).toBeLessThanOrEqual(2);
  });
});

describe("reflection", () => {
  test("lists the services", async () => {
    const server = await serving({ "model.onnx": ADD }, { GRPC_PORT: "0" });
    // ServerReflectionRequest{list_services: ""}
    const request = Buffer.from([0x3a, 0x00]);
    const stream = connectTo(server).makeBidiStreamRequest(
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes.toString("latin1"),
    );
    const answer = new Promise<string>((resolve) => stream.once("data", resolve));
    stream.write(request);
    const text = await answer;
    stream.end();
    expect(text).toContain("inference.GRPCInferenceService");
    expect(text).toContain("grpc.health.v1.Health");
  });
});

describe("a port that is taken", () => {
  test("ends the start with the variable to change", async () => {
    const server = await serving({ "model.onnx": ADD }, { GRPC_PORT: "0" });
    const second = startOn({ "model.onnx": ADD }, { GRPC_PORT: String(server.grpcPort) });
    await expect(second).rejects.toMatchObject({
      code: "LISTEN_FAILED",
      message: expect.stringMatching(/EADDRINUSE.*set another GRPC_PORT/),
    });
  });
});

describe("without GRPC_PORT", () => {
  test("nothing listens for gRPC", async () => {
    const server = await serving({ "model.onnx": ADD });
    expect(server.grpcPort).toBeUndefined();
  });
});
