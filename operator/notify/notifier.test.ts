import { setImmediate } from "node:timers/promises";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { ManualClock } from "../clock.testing.ts";
import { sleep } from "../clock.ts";
import { OperatorError } from "../errors.ts";
import { createLogger } from "../log.ts";
import { createMetrics } from "../metrics.ts";
import { startController } from "../runtime/controller.ts";
import type { Delivery } from "./delivery.ts";
import { createNotifier, type Notifier } from "./notifier.ts";

const MINUTE_MS = 60_000;

let clock: ManualClock;
let stop: AbortController;
let notifier: Notifier;
let changed: string[];
/** `<app> <event>` of each attempt, in their order. */
let attempts: string[];
let respond: (signal: AbortSignal) => Promise<void>;
let secret: Record<string, string> | undefined;

beforeEach(() => {
  clock = new ManualClock();
  stop = new AbortController();
  changed = [];
  attempts = [];
  respond = async () => {};
  secret = { url: "https://hooks.example.com/secret-path" };
  const metrics = createMetrics();
  const log = createLogger("silent");
  notifier = createNotifier({
    kube: {
      get: async () => {
        if (secret === undefined) return undefined;
        const values = Object.entries(secret).map(
          ([key, value]) => [key, Buffer.from(value).toString("base64")] as const,
        );
        // The Secret that the notifier asks for.
        return { data: Object.fromEntries(values) } as never;
      },
    },
    clock,
    metrics,
    send: async ({ headers }, signal) => {
      attempts.push(headers["idempotency-key"] ?? "");
      await respond(signal);
    },
    start: (reconcile) =>
      startController(
        { name: "notifications", workers: 2, reconcile },
        { clock, log, metrics, ready: async () => undefined },
        stop.signal,
      ),
    onChange: (app) => void changed.push(app),
  });
});
afterEach(() => stop.abort());

function delivery(id: string, name = "chat"): Delivery {
  const data = { app: {}, release: {}, changed: [], phase: "Released", summary: "" };
  const event = { id, source: "cats", data } as unknown as Delivery["event"];
  return { target: { name, type: "Generic", secret: "chat" }, event };
}

async function idle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await setImmediate();
}

async function pass(ms: number): Promise<void> {
  await clock.advance(ms);
  await idle();
}

const failing = (status: number) => async (): Promise<void> => {
  throw new OperatorError("NOTIFICATION_FAILED", `the webhook responds with status ${status}`);
};

describe("an event", () => {
  it("is sent once, however often it is handed over", async () => {
    for (let turn = 0; turn < 5; turn += 1) {
      notifier.deliver("shop/cats", [delivery("1")]);
      await idle();
    }
    expect(attempts).toEqual(["cats/1"]);
    expect(changed).toEqual(["shop/cats"]);
    expect(notifier.view("shop/cats").isDelivered("chat", "1")).toBe(true);
    expect(notifier.view("shop/cats").isDelivered("chat", "2")).toBe(false);
    expect(notifier.view("shop/dogs").isDelivered("chat", "1")).toBe(false);
  });

  it("is not sent again when a cache shows the journal as it was before", async () => {
    notifier.deliver("shop/cats", [delivery("1")]);
    await idle();
    notifier.deliver("shop/cats", []);
    notifier.deliver("shop/cats", [delivery("1")]);
    await pass(MINUTE_MS);
    expect(attempts).toEqual(["cats/1"]);
  });

  it("is sent again, later each time, to a webhook that responds 500 for an hour", async () => {
    respond = failing(500);
    notifier.deliver("shop/cats", [delivery("1")]);
    await idle();
    const counts: number[] = [];
    for (let minute = 0; minute < 60; minute += 1) {
      notifier.deliver("shop/cats", [delivery("1")]);
      await pass(MINUTE_MS);
      counts.push(attempts.length);
    }
    expect(counts[0]).toBeGreaterThan(3);
    expect(counts.at(-1)).toBeLessThan(16);
    respond = async () => {};
    await pass(16 * MINUTE_MS);
    expect(notifier.view("shop/cats")).toMatchObject({ failing: [] });
    expect(notifier.view("shop/cats").isDelivered("chat", "1")).toBe(true);
  });

  it("is not sent when it is no longer asked for", async () => {
    respond = failing(500);
    notifier.deliver("shop/cats", [delivery("1")]);
    await idle();
    notifier.deliver("shop/cats", []);
    await pass(60 * MINUTE_MS);
    expect(attempts).toHaveLength(1);
  });
});

describe("a webhook that fails", () => {
  it("is reported after three attempts, and once for each cause", async () => {
    respond = failing(500);
    notifier.deliver("shop/cats", [delivery("1")]);
    await idle();
    expect(notifier.view("shop/cats").failing).toEqual([]);
    await pass(10 * MINUTE_MS);
    expect(notifier.view("shop/cats").failing).toEqual([
      {
        name: "chat",
        code: "NOTIFICATION_FAILED",
        message: "the webhook responds with status 500",
      },
    ]);
    expect(changed).toHaveLength(1);
    respond = failing(404);
    await pass(30 * MINUTE_MS);
    expect(changed).toHaveLength(2);
  });

  it("is one that does not respond within ten seconds", async () => {
    respond = async (signal) => {
      await sleep(clock, 3_600_000, signal);
      signal.throwIfAborted();
    };
    notifier.deliver("shop/cats", [delivery("1")]);
    for (let second = 0; second < 60; second += 1) await pass(1000);
    expect(notifier.view("shop/cats").failing).toMatchObject([
      { message: "the webhook did not respond within 10 s" },
    ]);
  });

  it("holds up no other webhook", async () => {
    respond = async (signal) => {
      if (attempts.at(-1) !== "cats/1") return;
      await sleep(clock, 3_600_000, signal);
      signal.throwIfAborted();
    };
    notifier.deliver("shop/cats", [delivery("1", "hangs"), delivery("2", "works")]);
    await idle();
    expect(notifier.view("shop/cats").isDelivered("works", "2")).toBe(true);
  });

  it("is reported at once, without its URL, when only a user can help", async () => {
    const views: unknown[] = [];
    for (const [index, data] of [
      undefined,
      {},
      { url: "hooks.example.com/secret-path" },
      { url: "https://hooks.example.com/secret-path", token: "se cret\nX: y" },
    ].entries()) {
      secret = data;
      notifier.deliver(`shop/app-${index}`, [delivery("1")]);
      await idle();
      views.push(notifier.view(`shop/app-${index}`).failing);
    }
    expect(views).toMatchObject([
      [{ code: "SECRET_NOT_FOUND" }],
      [{ code: "SECRET_INVALID", message: expect.stringContaining("lacks the key url") }],
      [{ code: "SECRET_INVALID", message: expect.stringContaining("no URL in its key url") }],
      [{ code: "SECRET_INVALID", message: expect.stringContaining("the key token") }],
    ]);
    expect(JSON.stringify(views)).not.toMatch(/secret-path|se cret/);
    expect(attempts).toEqual([]);
  });

  it("gets its events as soon as the Secret is right", async () => {
    secret = undefined;
    notifier.deliver("shop/cats", [delivery("1")]);
    await idle();
    secret = { url: "https://hooks.example.com/secret-path" };
    await pass(2000);
    expect(attempts).toEqual(["cats/1"]);
    expect(notifier.view("shop/cats").failing).toEqual([]);
  });
});
