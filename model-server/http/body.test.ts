import { createServer, request as httpRequest, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { createBudget, type Budget } from "../budget.ts";
import { ServerError } from "../errors.ts";
import { readBody } from "./body.ts";

const MAX = 150_000;
let server: Server;
let budget: Budget;

/** A server that answers with the length of the body, or with the code of the error. */
beforeEach(async () => {
  budget = createBudget(200_000);
  server = createServer((request, response) => {
    readBody(request, response, { maxBytes: MAX, budget }).then(
      (body) => response.end(`${body.length}`),
      (error: unknown) => response.end(error instanceof ServerError ? error.code : String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function send(body: Uint8Array, headers: Record<string, string> = {}): Promise<string> {
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}`, {
    method: "POST",
    body: Uint8Array.from(body),
    headers,
  });
  return response.text();
}

/** A request whose body never ends. */
async function hold(bytes: number): Promise<{ readonly end: () => void }> {
  const { port } = server.address() as AddressInfo;
  const request = httpRequest({ port, host: "127.0.0.1", method: "POST" });
  request.on("error", () => {});
  await new Promise<void>((resolve) => request.write(Buffer.alloc(bytes), () => resolve()));
  return { end: () => void request.destroy() };
}

describe("a body", () => {
  const text = Buffer.from("weights ".repeat(1000));

  test.each([
    ["gzip", gzipSync(text)],
    ["deflate", deflateSync(text)],
    ["br", brotliCompressSync(text)],
  ])("in %s is decompressed", async (encoding, body) => {
    expect(await send(body, { "content-encoding": encoding })).toBe("8000");
  });

  test.each([
    ["is not what its header says", "gzip", text, "REQUEST_INVALID"],
    ["is cut short", "gzip", gzipSync(text).subarray(0, 30), "REQUEST_INVALID"],
    ["has an encoding that is not supported", "zstd", text, "UNSUPPORTED_TYPE"],
    ["is small but becomes large", "gzip", gzipSync(Buffer.alloc(MAX + 1)), "BODY_TOO_LARGE"],
  ])("that %s is rejected", async (_, encoding, body, code) => {
    expect(await send(body, { "content-encoding": encoding })).toBe(code);
  });

  test("larger than the limit is rejected", async () => {
    expect(await send(new Uint8Array(MAX + 1))).toBe("BODY_TOO_LARGE");
  });
});

describe("bodies in flight", () => {
  test("share a budget, which small ones do not need, and give it back when they leave", async () => {
    const held = await hold(150_000);
    await vi.waitFor(() => {
      // The held one has arrived once so much is not left.
      const left = budget.take(100_000);
      if (left) budget.give(100_000);
      expect(left).toBe(false);
    });
    expect(await send(new Uint8Array(100_000))).toBe("OVERLOADED");
    expect(await send(new Uint8Array(60_000))).toBe("60000");
    held.end();
    await vi.waitFor(async () => expect(await send(new Uint8Array(100_000))).toBe("100000"));
    await vi.waitFor(() => expect(budget.take(200_000)).toBe(true));
  });
});
