import { once } from "node:events";
import * as http2 from "node:http2";
import { connect, type Socket } from "node:net";
import { gzipSync } from "node:zlib";

import { status } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test, vi } from "vitest";

import { call, connectTo, inference } from "./grpc/client.testing.ts";
import { connectRaw, get, post } from "./http/raw.testing.ts";
import { identity, infer, send, serving, tensor } from "./infer.testing.ts";
import { growthDuring } from "./memory.testing.ts";
import type { Server } from "./server.ts";

/** Clients that are slow, silent, half gone or greedy: what they hold is bounded, and others are served meanwhile. */

const BOUND = { timeout: 20_000, interval: 10 };
const LONG = { timeout: 120_000 };
const MEBIBYTE = 1024 * 1024;
const INFER = "/v2/models/model/infer";
const request = { inputs: [tensor("x", "FP32", [1, 2], [1, 2])] };

async function expectServed(server: Server): Promise<void> {
  expect((await infer(server, request)).status).toBe(200);
}

/** A connection of TCP that says nothing by itself; the test's end closes it. */
async function dial(port: number, allowHalfOpen = false): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen });
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

async function dialMany(port: number, count: number): Promise<readonly Socket[]> {
  const sockets: Socket[] = [];
  for (let at = 0; at < count; at += 100)
    sockets.push(
      ...(await Promise.all(
        Array.from({ length: Math.min(100, count - at) }, async () => dial(port)),
      )),
    );
  return sockets;
}

describe("thousands of idle connections", () => {
  test("take little memory, and requests on others are answered", LONG, async () => {
    const server = await serving(identity("float"));
    await expectServed(server);
    const growth = await growthDuring(async () => {
      const idle = await dialMany(server.port, 3000);
      // Half of them have had an answer, and are kept for the next request.
      for (const socket of idle.slice(0, 1500)) socket.write(get("/version"));
      await Promise.all(idle.slice(0, 1500).map(async (socket) => once(socket, "data")));
      for (let sent = 0; sent < 50; sent += 1) await expectServed(server);
    });
    expect(growth).toBeLessThan(50 * MEBIBYTE);
  });
});

describe("clients that send slowly", () => {
  test("their headers get 408 in the end, and others are answered meanwhile", LONG, async () => {
    const server = await serving(identity("float"), { REQUEST_TIMEOUT_SECONDS: "2" });
    const slow = await Promise.all(
      Array.from({ length: 200 }, async () => connectRaw(server.port)),
    );
    for (const client of slow) onTestFinished(() => client[Symbol.asyncDispose]());
    for (const client of slow) client.write(`POST ${INFER} HTTP/1.1\r\nhost: server\r\nx-a: `);
    const drip = setInterval(() => {
      for (const client of slow) client.write("a");
    }, 100);
    onTestFinished(() => clearInterval(drip));
    await expectServed(server);
    for (const client of slow)
      expect((await client.ended()).map((answer) => answer.status)).toEqual([408]);
  });

  test("nothing at all are cut off", LONG, async () => {
    const server = await serving(identity("float"), { REQUEST_TIMEOUT_SECONDS: "1" });
    await using silent = await connectRaw(server.port);
    expect((await silent.ended()).map((answer) => answer.status)).toEqual([408]);
    await expectServed(server);
  });
});

describe("a client that does not read its answer", () => {
  test("is cut off, and its request's bytes come back to the budget", LONG, async () => {
    const columns = 65_536;
    const server = await serving(identity("float", ["N", columns]), {
      REQUEST_TIMEOUT_SECONDS: "2",
      MAX_BODY_BYTES_IN_FLIGHT: String(40 * MEBIBYTE),
    });
    const body = Buffer.alloc(30 * MEBIBYTE);
    const headers = { "inference-header-content-length": "0" };
    const deaf = await dial(server.port);
    deaf.pause();
    deaf.write(
      `POST ${INFER} HTTP/1.1\r\nhost: server\r\ninference-header-content-length: 0\r\ncontent-length: ${body.length}\r\n\r\n`,
    );
    deaf.write(body);
    await vi.waitFor(async () => expect(await successes(server)).toBe(1), BOUND);
    // It has been scored, and still counts.
    expect((await send(server, body, headers)).status).toBe(503);
    const small = Buffer.alloc(4 * columns);
    expect((await send(server, small, headers)).status).toBe(200);
    await vi.waitFor(
      async () => expect((await send(server, body, headers)).status).toBe(200),
      BOUND,
    );
  });
});

async function metricsOf(server: Server): Promise<string> {
  return (await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`)).text();
}

async function successes(server: Server): Promise<number> {
  return Number(/^nv_inference_request_success\{.*\} (\d+)$/m.exec(await metricsOf(server))?.[1]);
}

describe("connections that are half open", () => {
  test("are those of clients that have gone: what they asked for ends", async () => {
    const server = await serving(identity("float"));
    const socket = await dial(server.port, true);
    socket.resume();
    socket.end(post(INFER, request).slice(0, -1));
    await once(socket, "end");
    await vi.waitFor(
      async () => expect(await metricsOf(server)).toMatch(/failure\{.*reason="CLIENT_GONE"\} 1$/m),
      BOUND,
    );
    await expectServed(server);
  });

  test("in the middle of a body end, and nothing is left of them", async () => {
    const server = await serving(identity("float"), {
      MAX_BODY_BYTES_IN_FLIGHT: String(2 * MEBIBYTE),
    });
    for (let round = 0; round < 10; round += 1) {
      const socket = await dial(server.port, true);
      socket.resume();
      const head = `POST ${INFER} HTTP/1.1\r\nhost: server\r\ncontent-length: ${60 * MEBIBYTE}\r\n\r\n`;
      socket.end(head + " ".repeat(MEBIBYTE + 1));
      await once(socket, "end");
    }
    // No JSON, but room for it.
    const { status: answered } = await send(server, " ".repeat(1.5 * MEBIBYTE));
    expect(answered).toBe(400);
  });
});

describe("floods of headers", () => {
  test("get 431 before they are large, and others are answered", async () => {
    const server = await serving(identity("float"));
    const growth = await growthDuring(async () => {
      const clients = await Promise.all(
        Array.from({ length: 50 }, async () => connectRaw(server.port)),
      );
      for (const client of clients) {
        client.write(`GET /version HTTP/1.1\r\nhost: server\r\n`);
        client.write("x-a: 1\r\n".repeat(100_000));
      }
      await expectServed(server);
      for (const client of clients)
        expect((await client.ended()).map((answer) => answer.status)).toEqual([431]);
    });
    expect(growth).toBeLessThan(100 * MEBIBYTE);
  });

  test("over gRPC end their stream or connection, and others are answered", async () => {
    const server = await serving(identity("float"), { GRPC_PORT: "0" });
    const session = http2.connect(`http://127.0.0.1:${server.grpcPort}`, {
      maxSendHeaderBlockLength: 8 * MEBIBYTE,
    });
    onTestFinished(() => session.destroy());
    session.on("error", () => {});
    const stream = session.request({
      ":method": "POST",
      ":path": "/inference.GRPCInferenceService/ServerLive",
      "content-type": "application/grpc",
      te: "trailers",
      ...Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`x-${at}`, "a".repeat(2000)])),
    });
    stream.on("error", () => {});
    stream.resume();
    await new Promise((resolve) => stream.once("close", resolve));
    const { answer } = await call(connectTo(server), inference, "ServerLive", {});
    expect(answer).toEqual({ live: true });
  });

  test("of calls that are opened and cancelled at once leave it answering", LONG, async () => {
    const server = await serving(identity("float"), { GRPC_PORT: "0" });
    const session = http2.connect(`http://127.0.0.1:${server.grpcPort}`);
    onTestFinished(() => session.destroy());
    session.on("error", () => {});
    for (let opened = 0; opened < 5000 && !session.destroyed; opened += 1) {
      const stream = session.request({
        ":method": "POST",
        ":path": "/inference.GRPCInferenceService/ModelInfer",
        "content-type": "application/grpc",
        te: "trailers",
      });
      stream.on("error", () => {});
      stream.close(http2.constants.NGHTTP2_CANCEL);
    }
    const { answer } = await call(connectTo(server), inference, "ServerLive", {});
    expect(answer).toEqual({ live: true });
  });
});

describe("small bodies that become large", () => {
  test(
    "are refused at the limit, whatever they would have become, and others are answered",
    LONG,
    async () => {
      const server = await serving(identity("float"), {
        MAX_BODY_BYTES: String(4 * MEBIBYTE),
        MAX_BODY_BYTES_IN_FLIGHT: String(16 * MEBIBYTE),
      });
      const bomb = gzipSync(Buffer.alloc(200 * MEBIBYTE, " "));
      expect(bomb.length).toBeLessThan(MEBIBYTE);
      const statuses = new Set<number>();
      const growth = await growthDuring(async () => {
        const sent = Array.from({ length: 40 }, async () => {
          const { status: answered } = await send(server, bomb, { "content-encoding": "gzip" });
          statuses.add(answered);
        });
        await expectServed(server);
        await Promise.all(sent);
      });
      expect([...statuses].filter((one) => one !== 413 && one !== 503)).toEqual([]);
      expect(statuses).toContain(413);
      // The requests themselves are 8 MiB here.
      expect(growth).toBeLessThan(64 * MEBIBYTE);
    },
  );

  test("over gRPC count as what they may become, so that few are held at once", LONG, async () => {
    const server = await serving(identity("float"), {
      GRPC_PORT: "0",
      MAX_BODY_BYTES: String(16 * MEBIBYTE),
      MAX_BODY_BYTES_IN_FLIGHT: String(40 * MEBIBYTE),
    });
    // A message that names no model, and has a field that is not known.
    const length = 15 * MEBIBYTE;
    const head = Buffer.from([0xfa, 0x3f, ...varint(length)]);
    const bomb = gzipSync(Buffer.concat([head, Buffer.alloc(length)]));
    expect(bomb.length).toBeLessThan(64 * 1024);
    const answers: unknown[] = [];
    const growth = await growthDuring(async () => {
      const session = http2.connect(`http://127.0.0.1:${server.grpcPort}`);
      onTestFinished(() => session.destroy());
      await Promise.all(
        Array.from({ length: 100 }, async () => answers.push(await sendCompressed(session, bomb))),
      );
    });
    const unavailable = answers.filter((answer) => answer === status.UNAVAILABLE);
    expect(new Set(answers)).toEqual(new Set([status.NOT_FOUND, status.UNAVAILABLE]));
    expect(unavailable.length).toBeGreaterThan(50);
    expect(growth).toBeLessThan(200 * MEBIBYTE);
    // All of it comes back.
    expect(await call(connectTo(server), inference, "ServerLive", {})).toMatchObject({ code: 0 });
    const session = http2.connect(`http://127.0.0.1:${server.grpcPort}`);
    onTestFinished(() => session.destroy());
    expect(await sendCompressed(session, bomb)).toBe(status.NOT_FOUND);
  });
});

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 128))
    bytes.push((rest % 128) + (rest >= 128 ? 128 : 0));
  return bytes;
}

/** @returns the status of gRPC */
async function sendCompressed(session: http2.ClientHttp2Session, message: Buffer): Promise<number> {
  const head = Buffer.alloc(5);
  head.writeUInt8(1, 0);
  head.writeUInt32BE(message.length, 1);
  const stream = session.request({
    ":method": "POST",
    ":path": "/inference.GRPCInferenceService/ModelInfer",
    "content-type": "application/grpc",
    "grpc-encoding": "gzip",
    te: "trailers",
  });
  let found: unknown;
  const take = (headers: http2.IncomingHttpHeaders): void => {
    found ??= headers["grpc-status"];
  };
  stream.on("response", take);
  stream.on("trailers", take);
  stream.on("error", () => {});
  stream.resume();
  stream.end(Buffer.concat([head, message]));
  await once(stream, "close");
  return Number(found);
}

describe("a stream of many messages", () => {
  test("holds the budget and listeners for the last of them, not for all", LONG, async () => {
    const warnings: string[] = [];
    const onWarning = ({ message }: Error): void => void warnings.push(message);
    process.on("warning", onWarning);
    onTestFinished(() => void process.off("warning", onWarning));
    const server = await serving(identity("float", ["N", 4096]), {
      GRPC_PORT: "0",
      MAX_BODY_BYTES_IN_FLIGHT: String(4 * MEBIBYTE),
    });
    const method = inference["ModelStreamInfer"];
    if (method === undefined) throw new Error("there is no ModelStreamInfer");
    const stream = connectTo(server).makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize as (bytes: Buffer) => { readonly error_message: string },
    );
    stream.on("error", () => {});
    const message = {
      model_name: "model",
      inputs: [{ name: "x", datatype: "FP32", shape: [64, 4096] }],
      raw_input_contents: [Buffer.alloc(MEBIBYTE)],
    };
    for (let sent = 0; sent < 20; sent += 1) {
      stream.write(message);
      const [answer] = (await once(stream, "data")) as [{ readonly error_message: string }];
      expect(answer.error_message).toBe("");
    }
    stream.end();
    expect(warnings).toEqual([]);
  });
});
