import { METHODS, request as httpRequest, type IncomingHttpHeaders } from "node:http";

import { describe, expect, test } from "vitest";

import { identity, serving } from "../infer.testing.ts";
import type { Server } from "../server.ts";
import { connectRaw, get } from "./raw.testing.ts";

/** What a client gets for a method that a path does not have. */

interface Answered {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Of any method, which `fetch` does not send. */
async function ask(
  { port }: Server,
  method: string,
  path: string,
  { headers = {}, body = "" }: { headers?: Readonly<Record<string, string>>; body?: string } = {},
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: "127.0.0.1", port, method, path, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.once("end", () =>
        resolve({ status: response.statusCode, headers: response.headers, text }),
      );
    });
    sent.once("error", reject);
    sent.end(body);
  });
}

function without(...methods: readonly string[]): readonly string[] {
  return METHODS.filter((method) => ![...methods, "CONNECT"].includes(method));
}

const READ = "GET, HEAD";
const paths = [
  { path: "/score", allow: "POST" },
  { path: "/v2/models/model/infer?a=b", allow: "POST" },
  { path: "/v2/models/model", allow: READ },
  { path: "/v2/health/ready", allow: READ },
  { path: "/ui/main.js", allow: READ },
  { path: "/", allow: READ },
];

describe("a method that a path does not have", () => {
  test.each(paths)("gets 405 and what to send instead, of $path", async (one) => {
    const server = await serving(identity("float"));
    for (const method of without(...one.allow.split(", "))) {
      const { status, headers, text } = await ask(server, method, one.path);
      expect([method, status, headers.allow]).toEqual([method, 405, one.allow]);
      const error = `this path has no ${method}: send ${one.allow}`;
      expect(text).toBe(method === "HEAD" ? "" : JSON.stringify({ error }));
    }
  });

  test("gets 405 whatever its body is said to be", async () => {
    const server = await serving(identity("float"));
    for (const type of [undefined, "application/json", "nonsense"])
      for (const method of without("POST", "HEAD")) {
        const headers = {
          "content-length": "2",
          ...(type !== undefined && { "content-type": type }),
        };
        const { status } = await ask(server, method, "/score", { headers, body: "[1" });
        expect([method, type, status]).toEqual([method, type, 405]);
      }
  });

  test("gets 404 of a path that is not there", async () => {
    const server = await serving(identity("float"), { CORS_ORIGINS: "*" });
    for (const method of without("HEAD")) {
      const { status, text } = await ask(server, method, "/predict");
      expect([method, status]).toEqual([method, 404]);
      expect(JSON.parse(text)).toEqual({
        error: expect.stringMatching(/^there is no .* \/predict/),
      });
    }
  });

  test("has a body that is never taken for the next request", async () => {
    const server = await serving(identity("float"));
    const hidden = get("/hidden");
    for (const method of without("POST", "HEAD")) {
      await using client = await connectRaw(server.port);
      client.write(
        `${method} /score HTTP/1.1\r\nhost: server\r\ncontent-length: ${hidden.length}\r\n\r\n${hidden}`,
      );
      const answers = await client.ended();
      expect([method, answers.map(({ status }) => status)]).toEqual([method, [405]]);
      expect(answers[0]?.headers.get("connection")).toBe("close");
    }
  });

  test("leaves the connection to the next request where it has no body", async () => {
    const server = await serving(identity("float"));
    for (const method of without("POST", "HEAD")) {
      await using client = await connectRaw(server.port);
      client.write(`${method} /score HTTP/1.1\r\nhost: server\r\n\r\n${get("/version")}`);
      const answers = await client.answers(2);
      expect([method, ...answers.map(({ status }) => status)]).toEqual([method, 405, 200]);
    }
  });
});

describe("TRACE", () => {
  test("repeats nothing of the request", async () => {
    const server = await serving(identity("float"));
    const headers = { cookie: "secret-1", authorization: "secret-2", "x-own": "secret-3" };
    const answer = await ask(server, "TRACE", "/score?key=secret-4", { headers });
    expect(answer.status).toBe(405);
    expect(JSON.stringify(answer)).not.toContain("secret");
  });
});

describe("CONNECT", () => {
  test("gets 405, and its connection ends", async () => {
    const server = await serving(identity("float"));
    await using client = await connectRaw(server.port);
    client.write(`CONNECT other.example:443 HTTP/1.1\r\nhost: other.example:443\r\n\r\nhello`);
    const [answer, ...more] = await client.ended();
    expect([answer?.status, answer?.headers.get("allow")]).toEqual([405, ""]);
    expect(answer?.body).toBe(JSON.stringify({ error: "there is no CONNECT: this is no proxy" }));
    expect(more).toEqual([]);
  });
});

describe("OPTIONS, where pages of other origins may call", () => {
  test("is answered to browsers that ask before a request; any other one gets 405", async () => {
    const server = await serving(identity("float"), { CORS_ORIGINS: "https://shop.example" });
    const origin = "https://shop.example";
    const asks = { origin, "access-control-request-method": "POST" };
    const before = await ask(server, "OPTIONS", "/score", { headers: asks });
    expect(before.status).toBe(204);
    expect(before.headers["access-control-allow-methods"]).toBe("GET, POST");
    for (const headers of [{}, { origin }]) {
      const other = await ask(server, "OPTIONS", "/score", { headers });
      expect([other.status, other.headers.allow]).toEqual([405, "POST"]);
      expect(JSON.parse(other.text)).toEqual({ error: "this path has no OPTIONS: send POST" });
    }
  });
});
