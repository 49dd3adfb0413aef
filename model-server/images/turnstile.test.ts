import { describe, expect, test } from "vitest";

import { ServerError } from "../errors.ts";
import { createTurnstile } from "./turnstile.ts";

const never = new AbortController().signal;

/** A task that the test ends. */
function held(log: string[], name: string): { task: () => Promise<void>; end: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    task: async () => {
      log.push(name);
      await promise;
    },
    end: resolve,
  };
}

async function turnOfLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe("a turnstile", () => {
  test("runs so many tasks at once, the others in their order", async () => {
    const log: string[] = [];
    const tasks = ["a", "b", "c"].map((name) => held(log, name));
    const turnstile = createTurnstile({ concurrency: 1, maxWaiting: 2 });
    const all = tasks.map(({ task }) => turnstile.pass(task, never, false));
    await turnOfLoop();
    expect([log, turnstile.waiting()]).toEqual([["a"], 2]);
    for (const { end } of tasks) end();
    await Promise.all(all);
    expect([log, turnstile.waiting()]).toEqual([["a", "b", "c"], 0]);
  });

  test("rejects what may not wait, but a task of a request that was admitted", async () => {
    const log: string[] = [];
    const first = held(log, "a");
    const turnstile = createTurnstile({ concurrency: 1, maxWaiting: 0 });
    const running = turnstile.pass(first.task, never, false);
    await expect(turnstile.pass(async () => {}, never, false)).rejects.toMatchObject({
      code: "OVERLOADED",
    });
    const admitted = turnstile.pass(async () => void log.push("b"), never, true);
    first.end();
    await Promise.all([running, admitted]);
    expect(log).toEqual(["a", "b"]);
  });

  test("never begins a task whose request was cancelled, and says why", async () => {
    const log: string[] = [];
    const first = held(log, "a");
    const turnstile = createTurnstile({ concurrency: 1, maxWaiting: 9 });
    const running = turnstile.pass(first.task, never, false);
    const client = new AbortController();
    const waiting = turnstile.pass(async () => void log.push("b"), client.signal, false);
    client.abort(new ServerError("CLIENT_GONE", "gone"));
    await expect(waiting).rejects.toMatchObject({ code: "CLIENT_GONE" });
    await expect(turnstile.pass(first.task, client.signal, false)).rejects.toMatchObject({
      code: "CLIENT_GONE",
    });
    first.end();
    await running;
    expect([log, turnstile.waiting()]).toEqual([["a"], 0]);
  });

  test("gives the turn on when a task fails", async () => {
    const turnstile = createTurnstile({ concurrency: 1, maxWaiting: 9 });
    const failing = turnstile.pass(async () => Promise.reject(new Error("no")), never, false);
    const next = turnstile.pass(async () => {}, never, false);
    await expect(failing).rejects.toThrow("no");
    await next;
  });
});
