import type { Socket } from "node:net";

import { describe, expect, test } from "vitest";

import type { ScoreCheckOptions } from "./check.ts";
import { createScoreCheck } from "./check.ts";
import type { Load } from "./driver.ts";
import { drive } from "./driver.ts";
import type { Behaviour, TestServer } from "./server.testing.ts";
import { answerBytes, startServer } from "./server.testing.ts";
import type { Summary } from "./tally.ts";
import { createTally } from "./tally.ts";

const idle = new AbortController().signal;
const now = (): number => performance.now();
/** Slow enough that a request has its response before the next one, so that connections are reused on a busy machine too. */
const unhurried = { rate: 40 } as const;

async function run(
  url: string,
  load: Partial<Load>,
  options: Partial<ScoreCheckOptions> = {},
  signal = idle,
): Promise<Summary> {
  const tally = createTally(now, () => 0);
  const { check } = createScoreCheck({ learn: true, tolerance: 0.01, ...options });
  await drive(
    {
      url: new URL(url),
      pictures: [{ name: "7.png", contentType: "image/png", body: Buffer.alloc(2_000) }],
      rate: 500,
      sockets: 4,
      timeoutMs: 2_000,
      maxOpen: 100,
      maxRequests: 40,
      maxSeconds: 20,
      ...load,
    },
    check,
    tally,
    now,
    signal,
  );
  return tally.summary();
}

async function against(
  behaviour: Behaviour,
  load: Partial<Load> = {},
  options: Partial<ScoreCheckOptions> = {},
): Promise<Summary & { server: TestServer }> {
  await using server = await startServer(behaviour);
  return { ...(await run(server.url, load, options)), server };
}

describe("a good server", () => {
  test("has no failures: half on persistent sockets, half on new ones", async () => {
    const summary = await against(({ answer }) => answer(), unhurried);
    expect(summary).toMatchObject({ requests: 40, failed: 0, dropped: 0, reasons: {} });
    expect(summary.kinds.fresh).toMatchObject({ requests: 20, connections: 20, reused: 0 });
    expect(summary.kinds.keepAlive?.requests).toBe(20);
    expect(summary.kinds.keepAlive?.connections).toBeGreaterThanOrEqual(4);
    expect(summary.kinds.keepAlive?.reused).toBeGreaterThan(5);
    expect(summary.releases).toMatchObject({ aaaa000000: { modelVersion: "1", requests: 40 } });
  });

  test("may respond in chunks", async () => {
    expect(await against(({ answer }) => answer({ chunked: true }))).toMatchObject({ failed: 0 });
  });

  test("may drain: each connection ends with its next response, and no request fails", async () => {
    const noticed = new WeakSet<Socket>();
    const summary = await against(({ answer, socket, total }) => {
      if (noticed.has(socket)) socket.resetAndDestroy();
      else answer({ close: total > 10 });
      if (total > 10) noticed.add(socket);
    });
    expect(summary).toMatchObject({ requests: 40, failed: 0 });
  });

  test("may close an idle connection", async () => {
    const summary = await against(
      ({ answer, socket }) => {
        answer();
        setImmediate(() => socket.end());
      },
      { rate: 50, maxRequests: 10 },
    );
    expect(summary).toMatchObject({ failed: 0 });
    expect(summary.kinds.keepAlive).toMatchObject({ reused: 0 });
  });
});

describe("what counts as a failure", () => {
  test("a reset on a persistent socket: the driver does not retry", async () => {
    const summary = await against(({ answer, socket, nth }) => {
      if (nth === 2) socket.resetAndDestroy();
      else answer();
    }, unhurried);
    const kept = summary.kinds.keepAlive;
    expect(kept?.failed).toBeGreaterThan(5);
    expect(kept?.reasons).toEqual({ ECONNRESET: kept?.failed });
    expect(summary.kinds.fresh).toMatchObject({ failed: 0 });
    expect(summary.server.total()).toBe(40);
    expect(summary.failures[0]).toMatchObject({ kind: "keepAlive", reason: "ECONNRESET", use: 2 });
  });

  test("a persistent socket that closes during a request", async () => {
    const summary = await against(({ answer, socket, nth }) => {
      if (nth === 2) socket.end();
      else answer();
    }, unhurried);
    expect(summary.kinds.keepAlive?.reasons).toEqual({ Closed: summary.failed });
    expect(summary.failed).toBeGreaterThan(5);
  });

  test("a reset on a new connection", async () => {
    const summary = await against(({ answer, socket, total }) => {
      if (total % 4 === 0) socket.resetAndDestroy();
      else answer();
    });
    expect(summary.failed).toBe(10);
    expect(summary.reasons).toEqual({ ECONNRESET: 10 });
  });

  test("a truncated response", async () => {
    const summary = await against(({ socket, answer, total }) => {
      if (total !== 7) return answer();
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
    });
    expect(summary.reasons).toEqual({ CutOff: 1 });
  });

  test("no server, and a server that does not respond", async () => {
    let url = "";
    {
      await using server = await startServer(() => {});
      ({ url } = server);
      const silent = await run(url, { maxRequests: 4, timeoutMs: 100 });
      expect(silent.reasons).toEqual({ Timeout: 4 });
    }
    expect((await run(url, { maxRequests: 4 })).reasons).toEqual({ "Connect:ECONNREFUSED": 4 });
  });

  test.each([
    ["a status", { status: 503 }, "Status:503"],
    ["an answer that names no release", { release: "" }, "Unnamed"],
    ["a release that has two model versions", { modelVersion: "2" }, "MixedRelease"],
    ["another answer than the release gave before", { label: "9" }, "WrongAnswer"],
  ])("%s", async (_what, wrong, reason) => {
    const summary = await against(({ answer, total }) => answer(total === 20 ? wrong : {}));
    expect(summary.reasons).toEqual({ [reason]: 1 });
  });

  test("a response that differs from the expected one", async () => {
    const expectations = {
      "1": { "*": "7" },
      bbbb000000: {
        "7.png": [
          [
            ["8", 98.5049],
            ["1", 1.5],
          ],
        ],
      },
    };
    const summary = await against(
      ({ answer, total }) => {
        if (total % 4 === 0) answer({ release: "bbbb000000", modelVersion: "2", label: "8" });
        else if (total === 9) answer({ label: "8" });
        else if (total === 11) answer({ release: "cccc000000", modelVersion: "3" });
        else answer();
      },
      {},
      { learn: false, expectations },
    );
    expect(summary.reasons).toEqual({ WrongAnswer: 1, UnknownRelease: 1 });
    expect(summary.releases["bbbb000000"]).toMatchObject({ requests: 10, failed: 0 });
  });

  test("bytes that are not HTTP, and a duplicate response", async () => {
    const noise = await against(({ socket }) => void socket.write("SSH-2.0-hello\r\n\r\n"), {
      maxRequests: 2,
    });
    expect(noise.reasons).toEqual({ BadResponse: 2 });

    // The second one arrives while the connection is idle: the next request then uses another connection.
    const twice = await against(({ socket }) => void socket.write(answerBytes() + answerBytes()), {
      maxRequests: 4,
    });
    expect(twice.kinds.keepAlive).toMatchObject({ reused: 0 });
  });
});

describe("the bounds", () => {
  test("the driver drops and counts requests above the maximum in flight", async () => {
    const summary = await against(() => {}, { maxOpen: 3, maxSeconds: 0.2, timeoutMs: 300 });
    expect(summary).toMatchObject({ requests: 3, reasons: { Timeout: 3 } });
    expect(summary.dropped).toBeGreaterThan(5);
  });

  test("the driver keeps the rate, and ends on time", async () => {
    const summary = await against(({ answer }) => answer(), {
      rate: 100,
      maxRequests: 1e6,
      maxSeconds: 1,
    });
    expect(summary.requests).toBeGreaterThan(50);
    expect(summary.requests).toBeLessThanOrEqual(101);
  });

  test("a stop waits for the requests in flight", async () => {
    const stop = new AbortController();
    await using server = await startServer(({ answer, total }) => {
      if (total < 10) return answer();
      stop.abort();
      setTimeout(answer, 100);
    });
    const summary = await run(server.url, { maxRequests: 1e6 }, {}, stop.signal);
    expect(summary.failed).toBe(0);
    expect(summary.requests).toBeGreaterThanOrEqual(10);
    expect(summary.requests).toBe(server.total());
  });
});

describe("pipelined, idle and long requests", () => {
  test("pipelined requests get responses in order, and those after a Connection: close have a reason of their own", async () => {
    const good = await against(({ answer }) => answer(), {
      rate: 0,
      pipelined: { connections: 1, depth: 4 },
    });
    expect(good.kinds.pipelined).toMatchObject({ requests: 40, failed: 0, connections: 1 });

    const closing = await against(
      ({ answer, socket, nth }) => {
        if (nth > 2) return;
        answer({ close: nth === 2 });
        if (nth === 2) socket.end();
      },
      { rate: 0, pipelined: { connections: 1, depth: 4 }, maxRequests: 8 },
    );
    expect(closing.kinds.pipelined?.reasons).toEqual({ ClosedAfterNotice: 4 });
  });

  test("the driver reuses an idle connection, and a reset then is a failure", async () => {
    const summary = await against(
      ({ answer, socket, nth }) => (nth === 3 ? void socket.resetAndDestroy() : answer()),
      { rate: 0, idle: { connections: 2, seconds: 0.05 }, maxRequests: 12 },
    );
    expect(summary.kinds.idle?.reasons).toEqual({ ECONNRESET: 4 });
    expect(summary.kinds.idle?.latencyMs.max).toBeLessThan(2_000);
  });

  test("a server that closes the connection during a long request fails it", async () => {
    const good = await against(({ answer }) => answer({ close: true }), {
      rate: 0,
      long: { connections: 2, seconds: 0.3 },
      maxRequests: 2,
    });
    expect(good.kinds.long).toMatchObject({ requests: 2, failed: 0 });
    expect(good.kinds.long?.latencyMs.p50).toBeGreaterThan(250);

    await using server = await startServer(({ answer }) => answer());
    server.server.on("connection", (socket) => setTimeout(() => socket.resetAndDestroy(), 100));
    const cut = await run(server.url, {
      rate: 0,
      long: { connections: 1, seconds: 0.5 },
      maxRequests: 1,
    });
    expect(cut.kinds.long).toMatchObject({ requests: 1, failed: 1 });
  });
});
