import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json, text } from "node:stream/consumers";

import { afterEach, beforeEach, describe, expect, it, test } from "vitest";

/** The program as a process of its own, against a server that misbehaves. */

const SAMPLE = { request: { input: [[1, 2]] }, expected: [[["cat", 98.61]]], tolerance: 0.5 };
const ANSWER = JSON.stringify({ result: [SAMPLE.expected, "Computed in 3 ms"] });

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

let folder: string;
let server: Server;
let origin: string;
let ready: Handler;
let score: Handler;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aiapp-verify-"));
  await mkdir(join(folder, "bundle", "samples"), { recursive: true });
  await put("1.json", SAMPLE);
  ready = (_, response) => response.end("{}");
  score = (_, response) => response.end(ANSWER);
  server = createServer((request, response) => {
    void (request.method === "GET" ? ready : score)(request, response);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  if (server.listening) await once(server.close(), "close");
  await rm(folder, { recursive: true });
});

async function put(name: string, sample: unknown): Promise<void> {
  const content = typeof sample === "string" ? sample : JSON.stringify(sample);
  await writeFile(join(folder, "bundle", "samples", name), content);
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  readonly message: string;
}

function start(environment: Readonly<Record<string, string>> = {}): {
  readonly stop: () => void;
  readonly ended: Promise<Ended>;
} {
  const termination = join(folder, "termination");
  const env = {
    MODEL_DIR: join(folder, "bundle"),
    READY_URL: `${origin}/ready`,
    SCORE_URL: `${origin}/score`,
    TERMINATION_LOG: termination,
    ...environment,
  };
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts")], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit");
  const end = async (): Promise<Ended> => {
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    await exited;
    return { code: child.exitCode, out, err, message: await readFile(termination, "utf8") };
  };
  return { stop: () => void child.kill("SIGTERM"), ended: end() };
}

async function verdict(environment?: Readonly<Record<string, string>>): Promise<Ended> {
  return start(environment).ended;
}

describe("a server that responds as expected", () => {
  it("is verified by each sample in the order of their names, one at a time", async () => {
    const seen: unknown[] = [];
    let open = 0;
    let most = 0;
    for (const name of ["3.json", "2.json"])
      await put(name, { ...SAMPLE, request: { input: [name] } });
    score = async (request, response) => {
      open += 1;
      most = Math.max(most, open);
      const { url, headers } = request;
      seen.push({ body: await json(request), url, type: headers["content-type"] });
      open -= 1;
      response.end(ANSWER);
    };
    const { code, out, err, message } = await verdict({
      SCORE_URL: `${origin}/v2/models/a/infer?top=1`,
    });
    expect(message).toMatch(/^Verified: 3 samples passed in \d+ ms$/);
    expect({ code, out, err }).toEqual({ code: 0, out: `${message}\n`, err: "" });
    const where = { url: "/v2/models/a/infer?top=1", type: "application/json" };
    expect(seen).toEqual([
      { body: SAMPLE.request, ...where },
      { body: { input: ["2.json"] }, ...where },
      { body: { input: ["3.json"] }, ...where },
    ]);
    expect(most).toBe(1);
  });

  it("gets each sample on a connection of its own, since it may close one that it kept", async () => {
    const connections = new Set<unknown>();
    for (const name of ["2.json", "3.json", "4.json"]) await put(name, SAMPLE);
    score = (request, response) => {
      connections.add(request.socket);
      response.end(ANSWER);
    };
    expect((await verdict()).message).toMatch(/^Verified: 4 samples/);
    expect(connections.size).toBe(4);
  });

  it("may not be ready at once", async () => {
    let requests = 0;
    ready = (_, response) => {
      requests += 1;
      response.writeHead(requests === 1 ? 503 : 200).end();
    };
    expect(await verdict()).toMatchObject({ code: 0 });
    expect(requests).toBe(2);
  });

  it("may not listen yet", async () => {
    const { port } = server.address() as AddressInfo;
    await once(server.close(), "close");
    const other = createTcpServer((socket) => {
      socket.resetAndDestroy();
      other.close(() => server.listen(port, "127.0.0.1"));
    });
    await once(other.listen(port, "127.0.0.1"), "listening");
    expect(await verdict()).toMatchObject({ code: 0 });
  });

  it("may leave a request without a response while it starts", async () => {
    let requests = 0;
    ready = (_, response) => {
      requests += 1;
      if (requests > 1) response.end("{}");
    };
    expect(await verdict({ REQUEST_TIMEOUT_SECONDS: "1" })).toMatchObject({ code: 0 });
    expect(requests).toBe(2);
  });

  it("must be ready at the pod's address, not on loopback alone", async () => {
    const { message } = await verdict({ POD_IP: "127.0.0.2", TIMEOUT_SECONDS: "1" });
    expect(message).toMatch(
      /^VerificationTimedOut: .*GET http:\/\/127\.0\.0\.2:\d+\/ready did not/,
    );
  });

  test.each([
    ["samples are not wanted", { VERIFY_SAMPLES: "false" }, "samples are not to be scored"],
    ["it has no path for them", { SCORE_URL: "" }, "it has no path to score samples at"],
  ])("is verified by readiness alone when %s", async (_, environment, why) => {
    score = (_, response) => response.writeHead(500).end();
    const message = `Verified: the server is ready; ${why}`;
    expect(await verdict(environment)).toMatchObject({ code: 0, message });
  });

  it("is verified by readiness alone when the bundle has no samples", async () => {
    await rm(join(folder, "bundle", "samples"), { recursive: true });
    const message = "Verified: no samples in the bundle; the server is ready";
    expect(await verdict()).toMatchObject({ code: 0, message });
  });
});

describe("a server fails its verification", () => {
  test.each<[string, Handler, RegExp]>([
    [
      "a value differs",
      (_, response) => response.end(ANSWER.replace("98.61", "12.3")),
      /^samples\/1\.json: result\[0\]\[0\]\[0\]\[1\]: expected 98\.61 ± 0\.5, got 12\.3; correct /,
    ],
    [
      "it responds with an error",
      (_, response) =>
        response.writeHead(500).end(`\u001b[31mno\r\n\u0000 GPU ${"x".repeat(5000)}`),
      /^samples\/1\.json: the server responded 500: \[31mno GPU x{189}; read the log/,
    ],
    [
      "it responds with an error whose body never ends",
      (_, response) => {
        response.writeHead(503);
        const more = (): void => void (response.write("x".repeat(1000)) && setImmediate(more));
        response.on("drain", more);
        more();
      },
      /the server responded 503: x{200}; read/,
    ],
    [
      "it redirects",
      (_, response) => response.writeHead(307, { location: "http://example.com/" }).end(),
      /the server responded 307: an empty body; read/,
    ],
    [
      "its response is not JSON",
      (_, response) => response.end("<html>Welcome</html>"),
      /the response is not JSON: <html>Welcome<\/html>; read/,
    ],
    [
      "its response never ends",
      (_, response) => {
        const chunk = Buffer.alloc(65_536, " ");
        const more = (): void => {
          while (!response.destroyed && response.write(chunk));
        };
        response.on("drain", more);
        more();
      },
      /the response is larger than 16 MiB; read/,
    ],
    [
      "it closes the connection",
      (request) => request.socket.destroy(),
      /the server closed the connection without a full response: socket hang up; read/,
    ],
    [
      "it closes the connection within the response",
      (_, response) => {
        response.writeHead(200, { "content-length": "100" }).write('{"result": [');
        response.socket?.destroySoon();
      },
      /the server closed the connection without a full response: .*; read/,
    ],
  ])("when %s", async (_, handler, message) => {
    score = handler;
    const ended = await verdict();
    expect(ended).toMatchObject({ code: 1, out: "", err: `${ended.message}\n` });
    expect(ended.message).toMatch(/^VerificationFailed: /);
    expect(ended.message.slice("VerificationFailed: ".length)).toMatch(message);
  });

  it("by the first sample that differs, and gets no more", async () => {
    let scored = 0;
    for (const name of ["2.json", "3.json"]) await put(name, SAMPLE);
    score = (_, response) => {
      scored += 1;
      response.end(scored === 2 ? "null" : ANSWER);
    };
    expect((await verdict()).message).toMatch(
      /^VerificationFailed: samples\/2\.json: response: expected an array of 1, got null; /,
    );
    expect(scored).toBe(2);
  });
});

describe("a server that hangs", () => {
  const never: Handler = () => {};

  test.each<[string, Handler]>([
    ["before it responds", never],
    ["within the response", (_, response) => void response.write("[")],
  ])("%s fails after the time for one sample", async (_, handler) => {
    await put("0.json", SAMPLE);
    let scored = 0;
    score = (request, response) => {
      scored += 1;
      if (scored === 1) response.end(ANSWER);
      else handler(request, response);
    };
    const { code, message } = await verdict({ REQUEST_TIMEOUT_SECONDS: "1" });
    expect(code).toBe(1);
    expect(message).toMatch(
      /^VerificationTimedOut: 1 of 2 samples passed, then samples\/1\.json had no response from http:.*\/score within 1 s; read the log/,
    );
  });

  it("fails after the time for the whole verification", async () => {
    score = never;
    const { code, message } = await verdict({ TIMEOUT_SECONDS: "1" });
    expect(code).toBe(1);
    expect(message).toMatch(/^VerificationTimedOut: 0 of 1 samples.* 1 s of the whole/);
  });

  test.each<[string, Handler, RegExp]>([
    [
      "says so",
      (_, response) => response.writeHead(503).end("loading"),
      /responded 503: loading; /,
    ],
    ["says nothing", never, /ready had no response; /],
  ])("and is never ready fails when it %s", async (_, handler, problem) => {
    ready = handler;
    const { code, message } = await verdict({ TIMEOUT_SECONDS: "1" });
    expect(code).toBe(1);
    expect(message).toMatch(
      /^VerificationTimedOut: the server was not ready within 1 s: GET http:/,
    );
    expect(message).toMatch(problem);
  });

  it("fails when it no longer listens", async () => {
    await once(server.close(), "close");
    const { message } = await verdict({ TIMEOUT_SECONDS: "1" });
    expect(message).toMatch(/^VerificationTimedOut: .* did not complete: connect ECONNREFUSED/);
  });

  it("leaves no verdict when the pod is deleted", async () => {
    const scoring = Promise.withResolvers<void>();
    score = () => scoring.resolve();
    const { stop, ended } = start();
    await scoring.promise;
    stop();
    expect(await ended).toEqual({
      code: 143,
      out: "",
      err: "the verification was interrupted by SIGTERM\n",
      message: "the verification was interrupted by SIGTERM",
    });
  });
});

test("a sample that is not valid is the bundle's fault", async () => {
  await put("1.json", "{");
  const { code, message } = await verdict();
  expect(code).toBe(1);
  expect(message).toMatch(
    /^SamplesInvalid: samples\/1\.json of the bundle is not JSON; correct it/,
  );
});

describe("an environment that is not valid leaves no verdict", () => {
  test.each([
    ["a name", { SCORE_URL: "http://localhost:8080/score" }, /loopback address.*SCORE_URL/],
    ["another host", { SCORE_URL: "http://10.0.0.1:8080/score" }, /loopback.*SCORE_URL/],
    ["a name like one", { READY_URL: "http://127.0.0.1.example.com/" }, /loopback.*READY_URL/],
    ["another protocol", { READY_URL: "https://127.0.0.1/" }, /loopback.*READY_URL/],
    ["no URL", { READY_URL: "" }, /READY_URL/],
    ["no time", { TIMEOUT_SECONDS: "0" }, /TIMEOUT_SECONDS/],
    ["no bundle", { MODEL_DIR: "/nowhere" }, /MODEL_DIR \/nowhere cannot be read/],
  ])("%s: %j", async (_, environment, message) => {
    const ended = await verdict(environment);
    expect(ended).toMatchObject({ code: 2, out: "" });
    expect(ended.message).toMatch(/^the verification could not run: /);
    expect(ended.message).toMatch(message);
  });
});
