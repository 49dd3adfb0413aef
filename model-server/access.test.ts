import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Client, credentials, Metadata, status as grpcStatus } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test, vi } from "vitest";

import { readConfig } from "./config.ts";
import { connectRaw } from "./http/raw.testing.ts";
import { identity, infer, serving, tensor } from "./infer.testing.ts";
import { openKeys } from "./keys.ts";
import { createLogger } from "./log.ts";
import { startOn } from "./serve.testing.ts";
import type { Server } from "./server.ts";

const FIRST = "first-key-0123456789";
const SECOND = "second-key-0123456789";
const request = { inputs: [tensor("x", "FP32", [1, 2], [1, 2])] };

async function fileOf(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "aiapp-keys-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, "keys");
  await writeFile(file, text);
  return file;
}

async function ask(
  server: Server,
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
): Promise<Response> {
  const init = { method, headers, ...(method === "POST" && { body: JSON.stringify(request) }) };
  return fetch(`http://127.0.0.1:${server.port}${path}`, init);
}

describe("with API keys", () => {
  test("a request without one, or with another, gets 401 and what to send", async () => {
    const file = await fileOf(`# for the shop\n${FIRST}\n\n${SECOND}\n`);
    const server = await serving(identity("float"), { API_KEYS_FILE: file });
    const paths = [
      ["POST", "/v2/models/model/infer"],
      ["POST", "/score"],
      ["DELETE", "/score"],
      ["GET", "/v2/models/model"],
      ["GET", "/version"],
      ["GET", "/ui/model.json"],
    ] as const;
    for (const [method, path] of paths) {
      const without = await ask(server, path, {}, method);
      expect([path, without.status]).toEqual([path, 401]);
      expect(without.headers.get("www-authenticate")).toBe("Bearer");
      expect(await without.json()).toEqual({
        error: "this server needs an API key: send the header Authorization: Bearer <key>",
      });
      const wrong = await ask(server, path, { authorization: `Bearer ${FIRST}x` }, method);
      expect([path, wrong.status]).toEqual([path, 401]);
    }
    for (const key of [FIRST, SECOND]) {
      const authorization = `Bearer ${key}`;
      const answer = await ask(server, "/v2/models/model/infer", { authorization }, "POST");
      expect(answer.status).toBe(200);
    }
  });

  test("probes, the page's files and metrics need none", async () => {
    const file = await fileOf(FIRST);
    const server = await serving(identity("float"), { API_KEYS_FILE: file });
    for (const path of [
      "/",
      "/v2/health/live",
      "/v2/health/ready",
      "/v2/models/model/ready",
      "/ui",
      "/ui/main.js",
      "/openapi.json",
    ])
      expect([path, (await ask(server, path)).status]).toEqual([path, 200]);
    const metrics = await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`);
    expect(metrics.status).toBe(200);
  });

  test("every other path of the interface needs one", async () => {
    const file = await fileOf(FIRST);
    const server = await serving(identity("float"), { API_KEYS_FILE: file, MODEL_VERSION: "7" });
    const document = (await (await ask(server, "/openapi.json")).json()) as {
      readonly paths: Readonly<Record<string, Readonly<Record<string, object>>>>;
    };
    const answered = new Set<string>();
    for (const [form, methods] of Object.entries(document.paths))
      for (const method of Object.keys(methods)) {
        const path = form.replace("{name}", "model").replace("{version}", "7");
        const { status } = await ask(server, path, {}, method.toUpperCase());
        if (status !== 401) answered.add(`${path} ${status}`);
      }
    expect(answered).toEqual(
      new Set([
        "/ 200",
        "/openapi.json 200",
        "/v2/health/live 200",
        "/v2/health/ready 200",
        "/v2/models/model/ready 200",
        "/v2/models/model/versions/7/ready 200",
      ]),
    );
  });

  test("keys are replaced while it runs; a file that is wrong changes nothing", async () => {
    const file = await fileOf(FIRST);
    const keys = await openKeys(file, createLogger("silent"), 10);
    onTestFinished(keys.close);
    const isKnown = (key: string): boolean => {
      try {
        keys.check(`Bearer ${key}`);
        return true;
      } catch {
        return false;
      }
    };
    expect([isKnown(FIRST), isKnown(SECOND)]).toEqual([true, false]);
    await writeFile(`${file}.new`, SECOND);
    await rename(`${file}.new`, file);
    await vi.waitFor(() => expect([isKnown(FIRST), isKnown(SECOND)]).toEqual([false, true]));
    await rm(file);
    await writeFile(`${file}.new`, `${FIRST}\n`);
    expect(isKnown(SECOND)).toBe(true);
    await rename(`${file}.new`, file);
    await vi.waitFor(() => expect(isKnown(FIRST)).toBe(true));
  });

  test.each([
    ["that is missing", undefined, "cannot be read (ENOENT)"],
    ["without keys", "# none yet\n", "has no keys: add one a line"],
    ["with a key that can be guessed", "secret\n", "is not 16 to 512 printable characters"],
  ])("a file %s ends the start, and no key is shown", async (_, text, message) => {
    const file = text === undefined ? "/nonexistent/keys" : await fileOf(text);
    const started = serving(identity("float"), { API_KEYS_FILE: file });
    await expect(started).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining(message),
    });
    await expect(started).rejects.not.toMatchObject({
      message: expect.stringContaining("secret\n"),
    });
  });

  test("gRPC needs them too, but its health does not", async () => {
    const file = await fileOf(FIRST);
    const server = await serving(identity("float"), { API_KEYS_FILE: file, GRPC_PORT: "0" });
    const client = new Client(`127.0.0.1:${server.grpcPort}`, credentials.createInsecure());
    onTestFinished(() => client.close());
    const codeOf = (method: string, key?: string): Promise<number> => {
      const metadata = new Metadata();
      if (key !== undefined) metadata.set("authorization", `Bearer ${key}`);
      return new Promise((resolve) => {
        const bytes = (value: Buffer): Buffer => value;
        client.makeUnaryRequest(method, bytes, bytes, Buffer.alloc(0), metadata, (error) =>
          resolve(error?.code ?? grpcStatus.OK),
        );
      });
    };
    const inference = "/inference.GRPCInferenceService";
    expect(await codeOf(`${inference}/ServerMetadata`)).toBe(grpcStatus.UNAUTHENTICATED);
    expect(await codeOf(`${inference}/ServerMetadata`, SECOND)).toBe(grpcStatus.UNAUTHENTICATED);
    expect(await codeOf(`${inference}/ServerMetadata`, FIRST)).toBe(grpcStatus.OK);
    expect(await codeOf(`${inference}/ModelInfer`)).toBe(grpcStatus.UNAUTHENTICATED);
    expect(await codeOf(`${inference}/ServerReady`)).toBe(grpcStatus.OK);
    expect(await codeOf("/grpc.health.v1.Health/Check")).toBe(grpcStatus.OK);
  });
});

describe("pages of other origins", () => {
  const origin = "https://shop.example";
  const asks = {
    origin,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type,authorization",
  };

  test("may not call unless they are allowed", async () => {
    const server = await serving(identity("float"));
    const answer = await ask(server, "/v2", { origin });
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("are allowed by CORS_ORIGINS, also where a key is needed", async () => {
    const server = await serving(identity("float"), {
      CORS_ORIGINS: `https://other.example, ${origin}`,
      API_KEYS_FILE: await fileOf(FIRST),
    });
    const before = await ask(server, "/v2/models/model/infer", asks, "OPTIONS");
    expect(before.status).toBe(204);
    expect(before.headers.get("access-control-allow-origin")).toBe(origin);
    expect(before.headers.get("access-control-allow-headers")).toContain("authorization");
    const refused = await ask(server, "/v2", { origin: "https://evil.example" });
    expect(refused.headers.get("access-control-allow-origin")).not.toBe("https://evil.example");
    const without = await ask(server, "/v2", { origin });
    expect(without.status).toBe(401);
    expect(without.headers.get("access-control-allow-origin")).toBe(origin);
  });

  test.each(["shop.example", "https://shop.example/path", "null"])(
    "%s is no origin, which ends the start",
    (text) => {
      expect(() => readConfig({ CORS_ORIGINS: text })).toThrow(/must be origins such as/);
    },
  );
});

describe("a request's id", () => {
  test("is the client's own, or a new one", async () => {
    const server = await serving(identity("float"));
    const own = await ask(server, "/v2", { "x-request-id": "order-17" });
    expect(own.headers.get("x-request-id")).toBe("order-17");
    const made = await infer(server, request);
    expect(made.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("is a new one where the client's could not stand in a log", async () => {
    const server = await serving(identity("float"));
    const long = await ask(server, "/v2", { "x-request-id": "x".repeat(129) });
    expect(long.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe("the access log", () => {
  async function visit(server: Server): Promise<void> {
    await ask(server, "/v2/models/model?token=secret", { "x-request-id": "order-17" });
  }

  async function logged(
    environment: NodeJS.ProcessEnv,
    send: (server: Server) => Promise<void> = visit,
  ): Promise<readonly unknown[]> {
    const lines: Record<string, unknown>[] = [];
    const log = createLogger("info", {
      write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>),
    });
    const { server, close } = await startOn(identity("float"), environment, log);
    await server.loaded;
    await send(server);
    await close();
    return lines.filter(({ msg }) => msg === "request");
  }

  test("is off", async () => {
    expect(await logged({})).toEqual([]);
  });

  test("has a line for each request with ACCESS_LOG=on, without what its URL may hold", async () => {
    expect(await logged({ ACCESS_LOG: "on" })).toEqual([
      expect.objectContaining({
        id: "order-17",
        method: "GET",
        route: "/v2/models/:name",
        status: 200,
        ms: expect.any(Number),
      }),
    ]);
  });

  test("has the id and status of what could not be read, as its answer has", async () => {
    let id: string | undefined;
    const lines = await logged({ ACCESS_LOG: "on" }, async ({ port }) => {
      await using client = await connectRaw(port);
      client.write("secret nonsense\r\n\r\n");
      id = (await client.ended())[0]?.headers.get("x-request-id");
    });
    expect(lines).toEqual([expect.objectContaining({ id, status: 400 })]);
    expect(JSON.stringify(lines)).not.toContain("secret");
  });
});
