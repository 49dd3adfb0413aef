import { once } from "node:events";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { createAdmission } from "../admission.ts";
import { createBudget } from "../budget.ts";
import { readConfig } from "../config.ts";
import { createDrain, type Drain } from "../drain.ts";
import { createLogger } from "../log.ts";
import { createMetrics } from "../metrics.ts";
import { startServer } from "../server.ts";
import { createApp } from "./app.ts";
import { createConnections } from "./connections.ts";
import { connectRaw, get, post, type Answer, type RawClient } from "./raw.testing.ts";

const log = createLogger("silent");
const BOUND = { timeout: 10_000, interval: 10 };

/** The server with a model that answers when the test says so, and a clock that stands still. */
let server: Held;
beforeEach(async () => {
  server = await serve();
});
afterEach(async () => server[Symbol.asyncDispose]());

interface Held extends AsyncDisposable {
  readonly port: number;
  readonly drain: Drain;
  /** Begins the drain: quiet for 200 ms, 10 s at most. */
  readonly begin: (ms?: number) => void;
  readonly isDrained: () => boolean;
  /** Moves the clock, and waits until the drain has read it. */
  readonly at: (ms: number) => Promise<void>;
  /** Answers the request of this number, once it has come. */
  readonly release: (id: number) => Promise<void>;
  readonly arrived: (count: number) => Promise<void>;
}

async function serve(youngMs = 0): Promise<Held> {
  let time = 0;
  let looks = 0;
  let drained = false;
  const now = (): number => {
    looks += 1;
    return time;
  };
  const drain = createDrain(now);
  const held = new Map<number, () => void>();
  const app = createApp({
    config: readConfig({}),
    drain,
    connections: createConnections(drain, now, youngMs),
    keys: { check: () => {}, close: () => {} },
    budget: createBudget(2 ** 20),
    admission: createAdmission({
      maxWaitMs: 1000,
      overloadWaitMs: 1000,
      workers: 1,
      now: () => performance.now(),
    }),
    log,
    metrics: createMetrics({ model: "model", version: "", pending: () => 0, epoch: () => 0 }),
    versions: {},
    health: () => ({ ready: true, live: true }),
    model: () => ({
      signature: { inputs: [], outputs: [], batch: { kind: "none" } },
      scorePorts: { datatype: "FP32", inputs: new Map() },
      score: async (input) => {
        const id = input.kind === "tensor" ? Number(input.tensor.data[0]) : 0;
        await new Promise<void>((resolve) => held.set(id, resolve));
        return [[id]];
      },
      scoring: { output: "y", labels: undefined, image: undefined, sample: undefined },
      labelsOf: () => undefined,
      scoresOf: () => [],
      infer: async () => ({ outputs: new Map(), rows: 0 }),
    }),
  });
  await app.listen({ host: "127.0.0.1", port: 0 });
  return {
    port: (app.server.address() as AddressInfo).port,
    drain,
    begin: (ms = 0) => {
      time = ms;
      void drain.begin(200, 10_000).then(() => (drained = true));
    },
    isDrained: () => drained,
    at: async (ms) => {
      time = ms;
      const before = looks;
      await vi.waitFor(() => expect(drained || looks > before + 4).toBe(true), BOUND);
    },
    release: async (id) => {
      const answer = await vi.waitFor(() => {
        const found = held.get(id);
        if (found === undefined) throw new Error(`request ${id} has not come`);
        return found;
      }, BOUND);
      held.delete(id);
      answer();
    },
    arrived: (count) => vi.waitFor(() => expect(drain.inFlight()).toBe(count), BOUND),
    [Symbol.asyncDispose]: () => app.close(),
  };
}

function score(id: number): string {
  return post("/score", [[id]]);
}

function ids(answers: readonly Answer[]): unknown[] {
  return answers.map(
    ({ body }) => (JSON.parse(body) as { result: number[][][] }).result[0]?.[0]?.[0],
  );
}

function endings(answers: readonly Answer[]): unknown[] {
  return answers.map(({ status, headers }) => [status, headers.get("connection")]);
}

async function client(): Promise<RawClient> {
  return connectRaw(server.port);
}

describe("after the drain has begun", () => {
  test("a kept connection is answered once more, and ends with that answer", async () => {
    await using kept = await client();
    kept.write(score(1));
    await server.release(1);
    expect(endings(await kept.answers(1))).toEqual([[200, "keep-alive"]]);
    server.begin();
    kept.write(score(2));
    await server.release(2);
    const answers = await kept.ended();
    expect(ids(answers)).toEqual([1, 2]);
    expect(endings(answers.slice(1))).toEqual([[200, "close"]]);
  });

  test("also new connections are answered", async () => {
    server.begin();
    await using fresh = await client();
    fresh.write(score(1));
    await server.release(1);
    expect(endings(await fresh.ended())).toEqual([[200, "close"]]);
  });

  test("a request that was in flight is answered, and its connection ends", async () => {
    await using kept = await client();
    kept.write(score(1));
    await server.arrived(1);
    server.begin();
    await server.release(1);
    expect(endings(await kept.ended())).toEqual([[200, "close"]]);
  });

  test("also refusals end their connections", async () => {
    server.begin();
    await using wrong = await client();
    wrong.write(post("/score", "nonsense"));
    expect(endings(await wrong.ended())).toEqual([[400, "close"]]);
    await using lost = await client();
    lost.write(get("/nowhere"));
    expect(endings(await lost.ended())).toEqual([[404, "close"]]);
  });

  test("a request whose body still comes is waited for", async () => {
    await using slow = await client();
    const bytes = score(1);
    slow.write(bytes.slice(0, -3));
    await server.arrived(1);
    server.begin();
    await server.at(9_000);
    expect(server.isDrained()).toBe(false);
    slow.write(bytes.slice(-3));
    await server.release(1);
    expect(endings(await slow.ended())).toEqual([[200, "close"]]);
  });
});

describe("pipelined requests that came in one piece are all answered, in order, and only the last ends the connection", () => {
  test.each([
    ["the first was ready first", [1, 2, 3]],
    ["the last was ready first", [3, 2, 1]],
    ["the middle was ready first", [2, 1, 3]],
  ])("when %s", async (_, order) => {
    server.begin();
    await using piped = await client();
    piped.write(score(1) + score(2) + score(3));
    for (const id of order) await server.release(id);
    const answers = await piped.ended();
    expect(ids(answers)).toEqual([1, 2, 3]);
    expect(endings(answers)).toEqual([
      [200, "keep-alive"],
      [200, "keep-alive"],
      [200, "close"],
    ]);
  });

  test.each([
    ["all are answered at once", get("/version").repeat(3), [200, 200, 200]],
    ["some are refused", get("/nowhere") + post("/score", 7) + get("/"), [404, 400, 200]],
    ["the first is a health check", get("/v2/health/ready") + get("/version"), [200, 200]],
    ["the last is a health check", get("/version") + get("/v2/health/live"), [200, 200]],
  ])("when %s", async (_, requests, statuses) => {
    server.begin();
    await using piped = await client();
    piped.write(requests);
    const answers = await piped.ended();
    expect(answers.map(({ status }) => status)).toEqual(statuses);
    expect(answers.map(({ headers }) => headers.get("connection"))).toEqual([
      ...statuses.slice(1).map(() => "keep-alive"),
      "close",
    ]);
  });

  test("when one is joined by another while it waits for its turn", async () => {
    server.begin();
    await using piped = await client();
    piped.write(score(1) + score(2));
    await server.release(2);
    piped.write(score(3));
    await server.arrived(3);
    await server.release(1);
    await server.release(3);
    const answers = await piped.ended();
    expect(ids(answers)).toEqual([1, 2, 3]);
    expect(endings(answers).at(-1)).toEqual([200, "close"]);
  });
});

describe("a client that pipelines is not cut off in the middle", () => {
  test("when a burst comes in parts: the notice waits for a whole one", async () => {
    await using piped = await client();
    piped.write(score(1) + score(2) + score(3));
    for (const id of [1, 2, 3]) await server.release(id);
    await piped.answers(3);
    server.begin();
    // The first of the next burst is answered before the others have come.
    piped.write(score(4));
    await server.release(4);
    await piped.answers(4);
    piped.write(score(5) + score(6));
    for (const id of [5, 6]) await server.release(id);
    await piped.answers(6);
    piped.write(score(7) + score(8) + score(9));
    for (const id of [7, 8, 9]) await server.release(id);
    const answers = await piped.ended();
    expect(ids(answers)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(endings(answers).map((ending) => (ending as unknown[])[1])).toEqual([
      ...Array.from({ length: 8 }, () => "keep-alive"),
      "close",
    ]);
  });

  test("while nothing is known of a connection, because it is new", async () => {
    await using young = await serve(2000);
    young.begin();
    await using fresh = await connectRaw(young.port);
    fresh.write(score(1));
    await young.release(1);
    expect(endings(await fresh.answers(1))).toEqual([[200, "keep-alive"]]);
    await young.at(2_000);
    fresh.write(score(2));
    await young.release(2);
    expect(endings(await fresh.ended()).at(1)).toEqual([200, "close"]);
  });
});

describe("the drain ends", () => {
  test("when no request has come for the quiet time, counted from its own beginning", async () => {
    server.begin(1_000);
    await server.at(1_199);
    expect(server.isDrained()).toBe(false);
    await server.at(1_200);
    expect(server.isDrained()).toBe(true);
  });

  test("a quiet time after the last answer, not after its request", async () => {
    server.begin();
    await server.at(100);
    await using kept = await client();
    kept.write(score(1));
    await server.arrived(1);
    await server.at(5_000);
    expect(server.isDrained()).toBe(false);
    await server.release(1);
    await kept.ended();
    await server.arrived(0);
    await server.at(5_199);
    expect(server.isDrained()).toBe(false);
    await server.at(5_200);
    expect(server.isDrained()).toBe(true);
  });

  test("no later for health checks", async () => {
    server.begin();
    await server.at(150);
    await using kubelet = await client();
    kubelet.write(get("/v2/health/ready"));
    expect(endings(await kubelet.ended())).toEqual([[200, "close"]]);
    await server.at(200);
    expect(server.isDrained()).toBe(true);
  });

  test("later for any other request", async () => {
    server.begin();
    await server.at(150);
    await using curious = await client();
    curious.write(get("/version"));
    await curious.ended();
    await server.at(349);
    expect(server.isDrained()).toBe(false);
    await server.at(350);
    expect(server.isDrained()).toBe(true);
  });

  test("at its bound, with requests still in flight, and reports how many", async () => {
    server.begin();
    await using slow = await client();
    slow.write(score(1));
    await server.arrived(1);
    await server.at(9_999);
    expect(server.isDrained()).toBe(false);
    await server.at(10_000);
    expect(server.isDrained()).toBe(true);
    expect(server.drain.inFlight()).toBe(1);
  });

  test("without the clients that went away before their answer, or before their turn", async () => {
    await using gone = await client();
    gone.write(score(1) + score(2) + score(3).slice(0, -3));
    await server.arrived(3);
    server.begin();
    gone.vanish();
    await server.release(2);
    await server.arrived(0);
    await server.at(200);
    expect(server.isDrained()).toBe(true);
  });
});

describe("a whole server", () => {
  test("serves while requests come, then refuses connections", async () => {
    const folder = join(import.meta.dirname, "..", "..", "examples", "iris", "models", "1.0.0");
    const environment = { MODEL_DIR: folder, HOST: "127.0.0.1", PORT: "0", METRICS_PORT: "0" };
    const config = { ...readConfig({ ...environment, WORKERS: "2" }), drainQuietMs: 1000 };
    const whole = await startServer(config, { log, versions: {} });
    await whole.loaded;
    await using resting = await connectRaw(whole.port);
    await using kept = await connectRaw(whole.port);
    kept.write(get("/version"));
    await kept.answers(1);

    const done = whole.drain();
    const flower = post("/score", [[5.1, 2.5, 3.0, 1.1]]);
    kept.write(flower.repeat(4));
    resting.write(flower);
    // All are answered; whether the last says that it is, depends on how young its connection is by then.
    await kept.answers(5);
    await resting.answers(1);
    for (const [status] of [
      ...endings(await kept.ended()),
      ...endings(await resting.ended()),
    ] as number[][])
      expect(status).toBe(200);

    await done;
    const [refused] = await once(connect(whole.port, "127.0.0.1"), "error");
    expect(refused).toMatchObject({ code: "ECONNREFUSED" });
  });
});
