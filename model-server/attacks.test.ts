import sharp from "sharp";
import { describe, expect, onTestFinished, test, vi } from "vitest";

import { connectRaw, get, type RawClient } from "./http/raw.testing.ts";
import { growthDuring } from "./memory.testing.ts";
import { buildModel } from "./onnx/build.testing.ts";
import { score, scores, serve } from "./serve.testing.ts";
import type { Server } from "./server.ts";

/** The mean of each channel of images of 224 × 224. */
const MEANS = buildModel({
  nodes: [{ op: "GlobalAveragePool", inputs: ["x"], outputs: ["y"] }],
  inputs: [{ name: "x", type: "float", dims: ["N", 3, 224, 224] }],
  outputs: [{ name: "y", type: "float", dims: ["N", 3, 1, 1] }],
});
const IMAGES = {
  "model.onnx": MEANS,
  "preprocessing.json": { width: 224, height: 224, kernel: "linear" },
};
/** Their tensors are 300 MB, those of one run 16. */
const MANY = 512;
const BOUND = { timeout: 20_000, interval: 10 };

async function blank(width: number, height: number): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: "white" } })
    .webp({ lossless: true, effort: 0 })
    .toBuffer();
}

async function failures(server: Server): Promise<Readonly<Record<string, number>>> {
  const response = await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`);
  const text = await response.text();
  const found = text.matchAll(/^nv_inference_request_failure\{.*reason="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...found].map(([, reason = "", count]) => [reason, Number(count)]));
}

function head(length: number, path = "/score"): string {
  return `POST ${path} HTTP/1.1\r\nhost: server\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;
}

describe("many small images whose tensors are large", () => {
  test("take the memory of one run, not of all", { timeout: 120_000 }, async () => {
    const server = await serve(IMAGES, { REQUEST_TIMEOUT_SECONDS: "120" });
    await server.loaded;
    const image = (await blank(1, 1)).toString("base64");
    await scores(server, { input: [image] });
    const growth = await growthDuring(async () => {
      const rows = await scores(server, { input: Array<string>(MANY).fill(image) });
      expect(rows).toHaveLength(MANY);
      expect(rows.at(-1)).toEqual([1, 1, 1]);
    });
    expect(growth).toBeGreaterThan(5 * 1024 * 1024);
    expect(growth).toBeLessThan(150 * 1024 * 1024);
  });
});

describe("small files that are large images", () => {
  test("are rejected by their headers when they are too many pixels in all", async () => {
    const server = await serve(IMAGES);
    await server.loaded;
    const image = (await blank(6000, 4000)).toString("base64");
    expect(await score(server, { input: Array<string>(17).fill(image) })).toMatchObject({
      status: 400,
      body: { error: "the images have more than 400 megapixels in all: send fewer at once" },
    });
  });

  test("let others come between, and stop being decoded when their client is gone", async () => {
    const server = await serve(IMAGES);
    await server.loaded;
    const large = (await blank(6000, 4000)).toString("base64");
    const small = (await blank(8, 8)).toString("base64");
    const body = JSON.stringify({ input: Array<string>(16).fill(large) });
    await using first = await connectRaw(server.port);
    await using second = await connectRaw(server.port);
    const attackers = [first, second];
    for (const attacker of attackers) attacker.write(head(body.length) + body);
    await vi.waitFor(async () => expect(await pending(server)).toBeGreaterThan(0), BOUND);
    // Answered while the attackers' images are decoded or wait.
    expect(await scores(server, { input: [small] })).toEqual([[1, 1, 1]]);
    for (const attacker of attackers) {
      expect(await attacker.answers(0)).toEqual([]);
      attacker.vanish();
    }
    await vi.waitFor(async () => expect(await failures(server)).toEqual({ CLIENT_GONE: 2 }), BOUND);
    expect(await pending(server)).toBe(0);
  });
});

async function pending(server: Server): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`);
  const text = await response.text();
  return Number(/^nv_inference_pending_request_count (\d+)$/m.exec(text)?.[1]);
}

describe("bodies that never end", () => {
  const MEBIBYTE = 1024 * 1024;

  async function attack(server: Server, count: number): Promise<readonly RawClient[]> {
    const clients: RawClient[] = [];
    for (let index = 0; index < count; index += 1) {
      const client = await connectRaw(server.port);
      onTestFinished(() => client[Symbol.asyncDispose]());
      client.write(head(60 * MEBIBYTE) + " ".repeat(MEBIBYTE));
      clients.push(client);
    }
    return clients;
  }

  test("share a budget: what is beyond it gets 503, everything else is answered, and it comes back", async () => {
    const server = await serve(IMAGES, { MAX_BODY_BYTES_IN_FLIGHT: String(4 * MEBIBYTE) });
    await server.loaded;
    const clients = await attack(server, 20);
    await vi.waitFor(async () => expect(await failures(server)).toEqual({ OVERLOADED: 16 }), BOUND);
    const version = await fetch(`http://127.0.0.1:${server.port}/version`);
    expect(version.status).toBe(200);
    const image = (await blank(8, 8)).toString("base64");
    expect((await score(server, { input: [image] })).status).toBe(200);
    const padded = { input: [image.padEnd(2 * MEBIBYTE, " ")] };
    expect((await score(server, padded)).status).toBe(503);
    for (const client of clients) client.vanish();
    await vi.waitFor(async () => expect((await score(server, padded)).status).toBe(200), BOUND);
  });

  test("get 408 when their time is up", async () => {
    const server = await serve(IMAGES, { REQUEST_TIMEOUT_SECONDS: "1" });
    await server.loaded;
    await using client = await connectRaw(server.port);
    client.write(`${head(100)}[`);
    const [answer] = await client.ended();
    expect([answer?.status, answer?.body]).toEqual([
      408,
      JSON.stringify({
        error: "the request did not arrive in time: send it faster, or less at once",
      }),
    ]);
  });
});

describe("connections beyond their bound", () => {
  test("are closed, and those that were there are answered", async () => {
    const server = await serve(IMAGES, { MAX_CONNECTIONS: "2" });
    await server.loaded;
    await using first = await connectRaw(server.port);
    await using second = await connectRaw(server.port);
    await using third = await connectRaw(server.port);
    expect(await third.ended()).toEqual([]);
    for (const client of [first, second]) {
      client.write(get("/version"));
      expect(await client.answers(1)).toMatchObject([{ status: 200 }]);
    }
  });
});

describe("a request that takes more memory than there is", () => {
  test("gets 503 without a path, is counted as such, and the server serves on", async () => {
    const model = buildModel({
      nodes: [{ op: "ConstantOfShape", inputs: ["x"], outputs: ["y"] }],
      inputs: [{ name: "x", type: "int64", dims: [1] }],
      outputs: [{ name: "y", type: "float", dims: ["length"] }],
    });
    const server = await serve({ "model.onnx": model });
    await server.loaded;
    expect(await score(server, { input: ["4611686018427387"] })).toEqual({
      status: 503,
      body: {
        error: "the model ran out of memory: send fewer rows at once, or raise the memory limit",
      },
    });
    expect(await failures(server)).toEqual({ OUT_OF_MEMORY: 1 });
    expect(await scores(server, { input: [2] })).toEqual([[0, 0]]);
  });
});

describe("what the runtime says of an input", () => {
  test("comes without the paths of its sources", async () => {
    const model = buildModel({
      nodes: [
        { op: "Cast", inputs: ["w"], outputs: ["shape"], integers: { to: 7 } },
        { op: "Reshape", inputs: ["x", "shape"], outputs: ["y"] },
      ],
      inputs: [{ name: "x", type: "float", dims: ["N", "M"] }],
      outputs: [{ name: "y", type: "float", dims: ["K", 3] }],
      weights: [{ name: "w", dims: [2], data: [2, 3] }],
    });
    const server = await serve({ "model.onnx": model });
    await server.loaded;
    const { status, body } = await score(server, { input: [[7]] });
    const { error } = body as { readonly error: string };
    expect(status).toBe(400);
    expect(error).toMatch(
      /^the model rejects this input: .*cannot be reshaped to the requested shape/,
    );
    expect(error).not.toMatch(/[\\/]|onnxruntime|\.cc/);
  });
});
