import { describe, expect, test } from "vitest";

import { errors, type ErrorCode } from "../errors.ts";
import { identity, serving } from "../infer.testing.ts";
import { connectRaw, get, post, type Answer } from "./raw.testing.ts";

/** Requests that are refused before or instead of a route: each answer is JSON, and has an id. */

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/;
const INFER = "/v2/models/model/infer";

/** The first answer to these bytes of a server on which a body may take a second. */
async function answerTo(bytes: string): Promise<Answer | undefined> {
  const server = await serving(identity("float"), {
    REQUEST_TIMEOUT_SECONDS: "1",
    MAX_BODY_BYTES: "1024",
  });
  await using client = await connectRaw(server.port);
  client.write(bytes);
  return (await client.answers(1))[0];
}

function request(path: string, headers: readonly string[], method = "POST"): string {
  return [`${method} ${path} HTTP/1.1`, ...headers, "", ""].join("\r\n");
}

const HOST = "host: server";
const LENGTH = "content-length: 100";
const cases: readonly (readonly [string, string, ErrorCode, RegExp])[] = [
  [
    "that has no Host",
    request("/v2", [], "GET"),
    "REQUEST_INVALID",
    /^the request has no header Host, which HTTP\/1\.1 requires: send it$/,
  ],
  [
    "that expects what is not known",
    request("/score", [HOST, "expect: foo", LENGTH]),
    "EXPECTATION_FAILED",
    /^the server does not know what Expect: "foo" asks for: send 100-continue, or none$/,
  ],
  [
    "whose expectation is long",
    request("/score", [HOST, `expect: ${"x".repeat(5000)}`, LENGTH]),
    "EXPECTATION_FAILED",
    /^the server does not know what Expect: "x{50}" asks for/,
  ],
  [
    "whose transfer coding is a compression",
    `${request(INFER, [HOST, "transfer-encoding: gzip, chunked"])}0\r\n\r\n`,
    "UNSUPPORTED",
    /^the Transfer-Encoding "gzip, chunked" is not supported: send chunked alone, and name a compression in Content-Encoding$/,
  ],
  [
    "whose transfer coding is on two lines",
    `${request("/nowhere", [HOST, "transfer-encoding: gzip", "transfer-encoding: chunked"])}0\r\n\r\n`,
    "UNSUPPORTED",
    /^the Transfer-Encoding "gzip, chunked" is not supported/,
  ],
  ["of no HTTP", "nonsense\r\n\r\n", "REQUEST_INVALID", /^the request is not valid HTTP\/1\.1$/],
  [
    "of too large headers",
    request("/", [HOST, `x: ${"x".repeat(20_000)}`], "GET"),
    "HEADERS_TOO_LARGE",
    /^the path and headers have more than 16 KiB: send fewer or shorter headers/,
  ],
  [
    "of too large a path",
    request(`/${"x".repeat(20_000)}`, [HOST], "GET"),
    "HEADERS_TOO_LARGE",
    /^the path and headers have more than 16 KiB/,
  ],
  [
    "whose headers do not come",
    "GET / HTTP/1.1\r\nx: ",
    "TOO_SLOW",
    /^the request did not arrive in time: send it faster, or less at once$/,
  ],
  [
    "whose body does not come",
    request("/score", [HOST, "content-type: application/json", LENGTH]),
    "TOO_SLOW",
    /^the request did not arrive in time/,
  ],
  [
    "whose body is too large",
    request("/score", [HOST, "content-length: 2000"]),
    "BODY_TOO_LARGE",
    /^the body is larger than 1024 bytes$/,
  ],
  ["of no such path", get("/nowhere"), "NOT_FOUND", /^there is no GET \/nowhere/],
  ["of a path that is no URL", get("/%zz"), "REQUEST_INVALID", /^the path is not a valid URL$/],
  ["of another method", get("/score"), "METHOD_NOT_ALLOWED", /^this path has no GET/],
  [
    "for a tunnel",
    request("server:80", [HOST], "CONNECT"),
    "METHOD_NOT_ALLOWED",
    /^there is no CONNECT/,
  ],
  ["of no form", post("/score", 7), "REQUEST_INVALID", /^the body is not a valid request/],
  [
    "of another model, of a long name",
    get(`/v2/models/${"%41".repeat(4000)}`),
    "NOT_FOUND",
    /^there is no model "A{100}": this server has model$/,
  ],
  [
    "of another version, of a long name",
    get(`/v2/models/model/versions/${"1".repeat(10_000)}/ready`),
    "NOT_FOUND",
    /^there is no version "1{100}" of model/,
  ],
];

describe("a request", () => {
  test.each(cases)("%s is refused in JSON that says why", async (_, bytes, code, message) => {
    const answer = await answerTo(bytes);
    expect(answer?.status).toBe(errors[code].http);
    expect(answer?.headers.get("content-type")).toMatch(/^application\/json/);
    expect(JSON.parse(answer?.body ?? "")).toEqual({ error: expect.stringMatching(message) });
    expect(answer?.headers.get("x-request-id")).toMatch(UUID);
  });

  test("of HTTP/1.0 needs no Host, and asks for nothing by Expect", async () => {
    expect(await answerTo("GET /v2 HTTP/1.0\r\nexpect: foo\r\n\r\n")).toMatchObject({
      status: 200,
    });
  });

  test("may wait for 100 Continue", async () => {
    const [head = "", body = ""] = post("/score", { input: [[1, 2]] }).split("\r\n\r\n");
    const server = await serving(identity("float"));
    await using client = await connectRaw(server.port);
    client.write(`${head}\r\nexpect: 100-Continue\r\n\r\n`);
    expect(await client.answers(1)).toMatchObject([{ status: 100 }]);
    client.write(body);
    expect(await client.answers(2)).toMatchObject([{ status: 100 }, { status: 200 }]);
  });

  test("may name its transfer coding in capitals", async () => {
    const body = JSON.stringify({ input: [[1, 2]] });
    const head = request("/score", [
      HOST,
      "content-type: application/json",
      "Transfer-Encoding: Chunked",
    ]);
    const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    expect(await answerTo(head + chunks)).toMatchObject({ status: 200 });
  });
});

describe("the id of a request", () => {
  const ID = "x-request-id: mine";

  test.each([
    ["in the middle of its body", request("/score", [HOST, ID, LENGTH])],
    ["by its path", request("/%zz", [HOST, ID], "GET")],
    ["for its expectation", request("/score", [HOST, ID, "expect: foo", LENGTH])],
    ["for a tunnel", request("server:80", [HOST, ID], "CONNECT")],
    [
      "for a broken chunk",
      `${request(INFER, [HOST, ID, "transfer-encoding: chunked"])}nonsense\r\n`,
    ],
  ])("is in the answer where it is refused %s", async (_, bytes) => {
    expect((await answerTo(bytes))?.headers.get("x-request-id")).toBe("mine");
  });

  test("is not given to what follows it on its connection and is no request", async () => {
    const server = await serving(identity("float"));
    await using client = await connectRaw(server.port);
    client.write(request("/v2", [HOST, ID], "GET"));
    expect((await client.answers(1))[0]?.headers.get("x-request-id")).toBe("mine");
    client.write("nonsense\r\n\r\n");
    expect((await client.ended())[1]?.headers.get("x-request-id")).toMatch(UUID);
  });
});
