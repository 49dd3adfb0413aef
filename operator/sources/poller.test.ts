import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { ManualClock } from "../clock.testing.ts";
import { OperatorError } from "../errors.ts";
import { createLogger } from "../log.ts";
import { createMetrics } from "../metrics.ts";
import { createPoller, type Poller } from "./poller.ts";
import type { ImageSeen, Source } from "./source.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const metrics = createMetrics();
const log = createLogger("silent");

interface World {
  readonly clock: ManualClock;
  readonly poller: Poller;
  /** Subscribers, in the order in which they were notified. */
  readonly notified: string[];
  /** Those of them that were notified of something new. */
  readonly found: string[];
  readonly start: number;
}

function world(): World {
  const clock = new ManualClock();
  const notified: string[] = [];
  const found: string[] = [];
  const onChange = (subscriber: string, isNew: boolean): void => {
    notified.push(subscriber);
    if (isNew) found.push(subscriber);
  };
  const poller = createPoller({ clock, log, metrics, onChange });
  return { clock, poller, notified, found, start: clock.now() };
}

/** A source whose answers a test gives. */
class FakeSource implements Source<ImageSeen> {
  readonly kind = "image";
  readonly key: string;
  readonly host: string;
  readonly login: string;
  readonly #clock: ManualClock;
  /** When each poll began. */
  readonly begun: number[] = [];
  /** The digest that each poll got as the previous one. */
  readonly previous: (string | undefined)[] = [];
  running = 0;
  signal: AbortSignal | undefined;
  /** Digests and errors; a function waits for the test. */
  answer: string | Error | (() => Promise<string>) = "a";

  constructor(clock: ManualClock, key = "cats", host = "one.example", login = "anonymous") {
    this.#clock = clock;
    this.key = key;
    this.host = host;
    this.login = login;
  }

  async poll(previous: ImageSeen | undefined, signal: AbortSignal): Promise<ImageSeen> {
    this.begun.push(this.#clock.now());
    this.previous.push(previous?.digest);
    this.signal = signal;
    this.running += 1;
    try {
      const { answer } = this;
      if (answer instanceof Error) throw answer;
      const digest = typeof answer === "string" ? answer : await answer();
      return { kind: "image", image: "example.azurecr.io/cats:1", digest, lastPush: undefined };
    } finally {
      this.running -= 1;
    }
  }

  /** Polls wait until the returned function says how they end. */
  hold(): (digest: string | Error) => Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    // Without a poll, nothing awaits it.
    promise.catch(() => {});
    this.answer = () => promise;
    return async (end) => {
      if (end instanceof Error) reject(end);
      else resolve(end);
      await this.#clock.advance(0);
    };
  }

  /** Seconds after `start` at which polls began. */
  secondsSince(start: number): readonly number[] {
    return this.begun.map((time) => (time - start) / SECOND);
  }
}

function unavailable(retryAfterMs?: number): OperatorError {
  return new OperatorError("REGISTRY_UNAVAILABLE", "does not answer", { retryAfterMs });
}

describe("a source", () => {
  it("is polled once for all its subscribers, and all are notified", async () => {
    const { clock, poller, notified } = world();
    const [one, other] = [new FakeSource(clock), new FakeSource(clock)];
    poller.subscribe("shop/a", [{ source: one, intervalMs: MINUTE }]);
    poller.subscribe("shop/b", [{ source: other, intervalMs: MINUTE }]);
    await clock.advance(0);
    expect([...one.begun, ...other.begun]).toHaveLength(1);
    expect(notified.toSorted()).toEqual(["shop/a", "shop/b"]);
    expect(poller.get(other)).toMatchObject({ value: { digest: "a" }, error: undefined });
  });

  it("is not known before its first poll has ended", async () => {
    const { clock, poller, start } = world();
    const source = new FakeSource(clock);
    const end = source.hold();
    expect(poller.get(source).value).toBeUndefined();
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(3 * SECOND);
    expect(poller.get(source)).toMatchObject({ value: undefined, checkedAt: undefined });
    await end("a");
    // What was there before the poll began, it has seen; what is new is known since its end.
    expect(poller.get(source)).toMatchObject({
      value: { digest: "a" },
      checkedAt: start,
      changedAt: start + 3 * SECOND,
      nextCheckAt: start + 3 * SECOND + MINUTE,
    });
  });

  it("gets its previous result, and keeps the time of its last change", async () => {
    const { clock, poller, start } = world();
    const source = new FakeSource(clock);
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(2 * MINUTE);
    source.answer = "b";
    await clock.advance(MINUTE);
    expect(source.previous).toEqual([undefined, "a", "a", "a"]);
    expect(poller.get(source)).toMatchObject({
      changedAt: start + 3 * MINUTE,
      checkedAt: start + 3 * MINUTE,
    });
    source.answer = "b";
    await clock.advance(MINUTE);
    expect(poller.get(source)).toMatchObject({
      changedAt: start + 3 * MINUTE,
      checkedAt: start + 4 * MINUTE,
    });
  });

  it("is polled at about its interval: 5 % sooner or later", async () => {
    const { clock, poller, start } = world();
    const source = new FakeSource(clock);
    clock.chance = 0;
    poller.subscribe("shop/a", [{ source, intervalMs: 100 * SECOND }]);
    await clock.advance(0);
    clock.chance = 1;
    await clock.advance(96 * SECOND);
    await clock.advance(105 * SECOND);
    expect(source.secondsSince(start)).toEqual([0, 95, 200]);
  });

  it("is polled first at a random time within what its subscriber allows, unless it is asked for", async () => {
    const { clock, poller, start } = world();
    const sources = ["first", "second", "third"].map((key) => new FakeSource(clock, key));
    const [first, second, third] = sources;
    for (const [index, source] of sources.entries()) {
      clock.chance = index / 2;
      poller.subscribe(`shop/${source.key}`, [
        { source, intervalMs: 15 * MINUTE, firstWithinMs: MINUTE },
      ]);
    }
    await clock.advance(5 * SECOND);
    poller.pollSince("third", clock.now(), true);
    await clock.advance(2 * MINUTE);
    expect([first, second, third].map((source) => source?.secondsSince(start))).toEqual([
      [0],
      [30],
      [5],
    ]);
  });

  it("is polled at the shortest interval of its subscribers", async () => {
    const { clock, poller, start } = world();
    const source = new FakeSource(clock);
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(5 * SECOND);
    poller.subscribe("shop/b", [{ source, intervalMs: 10 * SECOND }]);
    await clock.advance(20 * SECOND);
    expect(source.secondsSince(start)).toEqual([0, 15, 25]);
    poller.subscribe("shop/b", []);
    await clock.advance(80 * SECOND);
    expect(source.secondsSince(start)).toEqual([0, 15, 25, 35, 95]);
  });

  it("is polled once a second at most, for any interval", async () => {
    const { clock, poller } = world();
    const source = new FakeSource(clock);
    poller.subscribe("shop/a", [{ source, intervalMs: 0 }]);
    await clock.advance(10 * SECOND);
    expect(source.begun).toHaveLength(11);
  });

  it("is not polled again because of another subscription", async () => {
    const { clock, poller } = world();
    const source = new FakeSource(clock);
    for (let times = 0; times < 5; times += 1) {
      poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
      poller.subscribe(`shop/${times}`, [{ source, intervalMs: MINUTE }]);
      await clock.advance(SECOND);
    }
    expect(source.begun).toHaveLength(1);
  });
});

describe("a subscriber", () => {
  it("is notified of what is new, and of nothing at rest", async () => {
    const { clock, poller, notified, found } = world();
    const source = new FakeSource(clock);
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(10 * MINUTE);
    expect(source.begun).toHaveLength(11);
    expect(notified).toEqual(["shop/a"]);
    source.answer = "b";
    await clock.advance(10 * MINUTE);
    expect(notified).toEqual(["shop/a", "shop/a"]);
    expect(found).toEqual(notified);
  });

  it("is notified that polls fail, or fail no longer, as of nothing new", async () => {
    const { clock, poller, notified, found } = world();
    const source = new FakeSource(clock);
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(0);
    source.answer = unavailable();
    await clock.advance(MINUTE);
    source.answer = "a";
    await clock.advance(10 * MINUTE);
    expect(notified).toEqual(["shop/a", "shop/a", "shop/a"]);
    expect(found).toEqual(["shop/a"]);
  });

  it("that waits for a poll is notified when one has succeeded, though it found nothing new", async () => {
    const { clock, poller, notified, found } = world();
    const source = new FakeSource(clock);
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(10 * SECOND);
    source.answer = unavailable();
    poller.pollSince(source.key, clock.now());
    await clock.advance(0);
    expect(found).toEqual(["shop/a"]);
    source.answer = "a";
    await clock.advance(10 * MINUTE);
    // Found, failed, and the poll that it waits for.
    expect(notified).toHaveLength(3);
    expect(found).toHaveLength(2);
  });

  it("that waits for a poll which ended just before is notified at once", async () => {
    const { clock, poller, found, start } = world();
    const source = new FakeSource(clock);
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(10 * SECOND);
    found.length = 0;
    poller.pollSince(source.key, start);
    await clock.advance(10 * MINUTE);
    expect(found).toEqual(["shop/a"]);
  });
});

describe("a poll that fails", () => {
  it("changes nothing but the error", async () => {
    const { clock, poller, notified, start } = world();
    const source = new FakeSource(clock);
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(0);
    notified.length = 0;
    source.answer = unavailable();
    await clock.advance(MINUTE);
    expect(notified).toEqual(["shop/a"]);
    expect(poller.get(source)).toMatchObject({
      value: { digest: "a" },
      changedAt: start,
      checkedAt: start,
      error: { code: "REGISTRY_UNAVAILABLE", message: "does not answer", since: start + MINUTE },
    });
  });

  it("notifies again only when the error changes; the time of the first failure is kept", async () => {
    const { clock, poller, notified, start } = world();
    const source = new FakeSource(clock);
    source.answer = unavailable();
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(10 * MINUTE);
    expect(source.begun.length).toBeGreaterThan(2);
    expect(notified).toEqual(["shop/a"]);
    expect(poller.get(source).error?.since).toBe(start);
    source.answer = new OperatorError("REGISTRY_AUTH_FAILED", "refused");
    await clock.advance(10 * MINUTE);
    expect(notified).toEqual(["shop/a", "shop/a"]);
    expect(poller.get(source).error).toMatchObject({ code: "REGISTRY_AUTH_FAILED" });
    expect(poller.get(source).error?.since).toBeGreaterThan(start);
  });

  it("is retried with back-off, up to five minutes", async () => {
    const { clock, poller, start } = world();
    const source = new FakeSource(clock);
    source.answer = unavailable();
    poller.subscribe("shop/a", [{ source, intervalMs: 10 * SECOND }]);
    await clock.advance(15 * MINUTE);
    expect(source.secondsSince(start)).toEqual([0, 10, 30, 70, 150, 310, 610]);
  });

  it("is never retried sooner than its interval, even one of hours", async () => {
    const { clock, poller, start } = world();
    const source = new FakeSource(clock);
    source.answer = unavailable();
    poller.subscribe("shop/a", [{ source, intervalMs: 60 * MINUTE }]);
    await clock.advance(119 * MINUTE);
    expect(source.secondsSince(start)).toEqual([0, 3600]);
  });

  it("is forgotten with the first poll that succeeds", async () => {
    const { clock, poller, start } = world();
    const source = new FakeSource(clock);
    source.answer = unavailable();
    poller.subscribe("shop/a", [{ source, intervalMs: 10 * SECOND }]);
    await clock.advance(30 * SECOND);
    source.answer = "a";
    await clock.advance(40 * SECOND);
    expect(poller.get(source)).toMatchObject({ value: { digest: "a" }, error: undefined });
    source.answer = unavailable();
    await clock.advance(20 * SECOND);
    expect(source.secondsSince(start)).toEqual([0, 10, 30, 70, 80, 90]);
  });

  it("leaves its cause in the log, and only there", async () => {
    const clock = new ManualClock();
    const lines: unknown[] = [];
    const quiet = createLogger("silent");
    const spy = Object.assign(Object.create(quiet), {
      warn: (fields: unknown) => void lines.push(fields),
    });
    const poller = createPoller({ clock, log: spy, metrics, onChange: () => {} });
    const source = new FakeSource(clock);
    const cause = new Error("connect ECONNREFUSED 10.0.0.1:443 https://a.example/b?sig=secret");
    source.answer = new OperatorError("REGISTRY_UNAVAILABLE", "cannot be reached", { cause });
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(0);
    expect(lines).toEqual([
      expect.objectContaining({
        host: "one.example",
        cause: "connect ECONNREFUSED 10.0.0.1:443 https://a.example/b",
      }),
    ]);
    expect(poller.get(source).error?.message).toBe("cannot be reached");
  });

  it("because it takes longer than 20 s is aborted, and the message names the limit", async () => {
    const { clock, poller } = world();
    const source = new FakeSource(clock);
    source.answer = () =>
      new Promise((_, reject) => {
        source.signal?.addEventListener("abort", () => reject(new Error("aborted by the SDK")));
      });
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(19 * SECOND);
    expect(poller.get(source).error).toBeUndefined();
    await clock.advance(SECOND);
    expect(poller.get(source).error).toMatchObject({
      code: "REGISTRY_UNAVAILABLE",
      message:
        "a poll of one.example took longer than the 20 s that it may take: check the network and the load of the host; retrying",
    });
  });

  it("with an error of another kind counts as a source that cannot be reached", async () => {
    const { clock, poller } = world();
    const source = new FakeSource(clock);
    source.answer = new TypeError("a slip");
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(0);
    expect(poller.get(source).error).toMatchObject({
      code: "REGISTRY_UNAVAILABLE",
      message: "a slip",
    });
  });
});

describe("Retry-After", () => {
  it("pauses all polls of the host, those of new sources included", async () => {
    const { clock, poller, start } = world();
    const [throttled, same, elsewhere] = [
      new FakeSource(clock, "throttled"),
      new FakeSource(clock, "same"),
      new FakeSource(clock, "elsewhere", "two.example"),
    ];
    poller.subscribe("shop/a", [{ source: throttled, intervalMs: 9 * SECOND }]);
    poller.subscribe("shop/b", [
      { source: same, intervalMs: 10 * SECOND },
      { source: elsewhere, intervalMs: 10 * SECOND },
    ]);
    await clock.advance(0);
    throttled.answer = unavailable(60 * SECOND);
    await clock.advance(9 * SECOND);
    throttled.answer = "a";
    // New ones wait as well.
    const late = new FakeSource(clock, "late");
    poller.subscribe("shop/c", [{ source: late, intervalMs: 10 * SECOND }]);
    await clock.advance(60 * SECOND);
    expect(throttled.secondsSince(start)).toEqual([0, 9, 69]);
    expect(same.secondsSince(start)).toEqual([0, 69]);
    expect(late.secondsSince(start)).toEqual([69]);
    expect(elsewhere.secondsSince(start)).toEqual([0, 10, 20, 30, 40, 50, 60]);
  });

  it("pauses the login that was asked, and none of another tenant", async () => {
    const { clock, poller, start } = world();
    const throttled = new FakeSource(clock, "throttled", "one.example", "theirs");
    const other = new FakeSource(clock, "other", "one.example", "ours");
    throttled.answer = unavailable(60 * MINUTE);
    poller.subscribe("their/a", [{ source: throttled, intervalMs: 10 * SECOND }]);
    await clock.advance(SECOND);
    poller.subscribe("our/a", [{ source: other, intervalMs: 10 * SECOND }]);
    await clock.advance(30 * SECOND);
    expect(other.secondsSince(start)).toEqual([1, 11, 21, 31]);
    expect(throttled.begun).toHaveLength(1);
    // For no more than ten minutes.
    await clock.advance(10 * MINUTE);
    expect(throttled.begun).toHaveLength(2);
  });

  it("of several logins at once pauses the host, for a minute at most", async () => {
    const { clock, poller } = world();
    const other = new FakeSource(clock, "other", "one.example", "ours");
    const logins = [1, 2, 3].map((n) => new FakeSource(clock, `${n}`, "one.example", `login ${n}`));
    for (const source of logins) source.answer = unavailable(60 * MINUTE);
    poller.subscribe(
      "their/a",
      logins.map((source) => ({ source, intervalMs: MINUTE })),
    );
    await clock.advance(SECOND);
    poller.subscribe("our/a", [{ source: other, intervalMs: 10 * SECOND }]);
    await clock.advance(58 * SECOND);
    expect(other.begun).toHaveLength(0);
    await clock.advance(SECOND);
    expect(other.begun).toHaveLength(1);
  });

  it("has priority over a request to poll now", async () => {
    const { clock, poller, start } = world();
    const [throttled, same] = [new FakeSource(clock, "throttled"), new FakeSource(clock, "same")];
    poller.subscribe("shop/a", [{ source: same, intervalMs: MINUTE }]);
    await clock.advance(SECOND);
    throttled.answer = unavailable(30 * SECOND);
    poller.subscribe("shop/b", [{ source: throttled, intervalMs: MINUTE }]);
    await clock.advance(SECOND);
    for (const { key } of [throttled, same]) poller.pollSince(key, clock.now());
    await clock.advance(28 * SECOND);
    expect(same.begun).toHaveLength(1);
    await clock.advance(SECOND);
    expect(same.secondsSince(start)).toEqual([0, 31]);
    expect(throttled.begun).toHaveLength(1);
  });
});

describe("a poll since a moment", () => {
  it("begins at once when none has begun since then", async () => {
    const { clock, poller, start } = world();
    const source = new FakeSource(clock);
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(5 * SECOND);
    poller.pollSince(source.key, clock.now());
    await clock.advance(0);
    expect(source.secondsSince(start)).toEqual([0, 5]);
    // Then the interval goes on from there.
    await clock.advance(MINUTE);
    expect(source.secondsSince(start)).toEqual([0, 5, 65]);
  });

  it("is not needed when one has begun since then", async () => {
    const { clock, poller } = world();
    const source = new FakeSource(clock);
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(5 * SECOND);
    const began = source.begun[0] ?? 0;
    poller.pollSince(source.key, began);
    await clock.advance(0);
    expect(source.begun).toHaveLength(1);
  });

  it("follows the one in flight that began before, once, for any number of requests", async () => {
    const { clock, poller, start } = world();
    const source = new FakeSource(clock);
    const end = source.hold();
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(5 * SECOND);
    for (let times = 0; times < 3; times += 1) {
      poller.pollSince(source.key, start + 4 * SECOND);
      await clock.advance(0);
    }
    expect(source.begun).toHaveLength(1);
    source.answer = "b";
    await end("a");
    expect(source.secondsSince(start)).toEqual([0, 5]);
    expect(poller.get(source).value?.digest).toBe("b");
  });

  it("is the one in flight when that began since then", async () => {
    const { clock, poller, start } = world();
    const source = new FakeSource(clock);
    const end = source.hold();
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(5 * SECOND);
    poller.pollSince(source.key, start);
    await end("a");
    expect(source.begun).toHaveLength(1);
  });

  it("waits for the back-off while polls fail", async () => {
    const { clock, poller } = world();
    const source = new FakeSource(clock);
    source.answer = unavailable();
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(5 * SECOND);
    poller.pollSince(source.key, clock.now());
    await clock.advance(54 * SECOND);
    expect(source.begun).toHaveLength(1);
  });

  it("does not wait for the back-off when it is urgent, but waits for Retry-After", async () => {
    const { clock, poller } = world();
    const source = new FakeSource(clock);
    source.answer = new OperatorError("REGISTRY_UNAVAILABLE", "no");
    poller.subscribe("shop/a", [{ source, intervalMs: 60 * MINUTE }]);
    await clock.advance(SECOND);
    poller.pollSince(source.key, clock.now(), true);
    await clock.advance(SECOND);
    expect(source.begun).toHaveLength(2);
    source.answer = new OperatorError("REGISTRY_THROTTLED", "slow", { retryAfterMs: 10 * SECOND });
    poller.pollSince(source.key, clock.now(), true);
    await clock.advance(SECOND);
    poller.pollSince(source.key, clock.now(), true);
    await clock.advance(5 * SECOND);
    expect(source.begun).toHaveLength(3);
    await clock.advance(10 * SECOND);
    expect(source.begun).toHaveLength(4);
  });

  it("of a source without subscribers does nothing", async () => {
    const { clock, poller } = world();
    poller.pollSince("unknown", clock.now());
    expect(clock.pending).toBe(0);
  });
});

describe("a host", () => {
  it("gets four polls at once and no more; each source that waits is polled once", async () => {
    const { clock, poller } = world();
    const sources = Array.from({ length: 6 }, (_, index) => new FakeSource(clock, `${index}`));
    const ends = sources.slice(0, 4).map((source) => source.hold());
    const elsewhere = new FakeSource(clock, "elsewhere", "two.example");
    poller.subscribe("shop/a", [
      ...sources.map((source) => ({ source, intervalMs: MINUTE })),
      { source: elsewhere, intervalMs: MINUTE },
    ]);
    await clock.advance(SECOND);
    expect(sources.map(({ running }) => running)).toEqual([1, 1, 1, 1, 0, 0]);
    expect(elsewhere.begun).toHaveLength(1);
    for (let times = 0; times < 5; times += 1) {
      for (const { key } of sources.slice(4)) poller.pollSince(key, clock.now());
      await clock.advance(0);
    }
    for (const end of ends) await end("a");
    expect(sources.map(({ begun }) => begun.length)).toEqual([1, 1, 1, 1, 1, 1]);
  });
});

describe("an honest source", () => {
  it("is polled within two seconds while every poll of other namespaces hangs", async () => {
    const { clock, poller } = world();
    for (let tenant = 0; tenant < 20; tenant += 1) {
      const sources = Array.from({ length: 100 }, (_, port) => {
        const source = new FakeSource(clock, `${tenant} ${port}`, `evil.example:${port}`);
        source.hold();
        return { source, intervalMs: SECOND };
      });
      poller.subscribe(`evil-${tenant}/app`, sources);
    }
    await clock.advance(SECOND);
    const honest = new FakeSource(clock, "honest", "honest.example");
    poller.subscribe("shop/a", [{ source: honest, intervalMs: MINUTE }]);
    await clock.advance(2 * SECOND);
    expect(honest.begun).toHaveLength(1);
    const closing = poller.close();
    expect(honest.running).toBe(0);
    void closing;
  });

  it("that a hostile namespace subscribes to as well counts for the one with fewer polls", async () => {
    const { clock, poller } = world();
    const shared = new FakeSource(clock, "shared", "honest.example");
    const held = Array.from({ length: 100 }, (_, port) => {
      const source = new FakeSource(clock, `${port}`, `evil.example:${port}`);
      source.hold();
      return { source, intervalMs: SECOND };
    });
    poller.subscribe("evil/app", [...held, { source: shared, intervalMs: MINUTE }]);
    await clock.advance(SECOND);
    poller.subscribe("shop/a", [{ source: shared, intervalMs: 10 * SECOND }]);
    await clock.advance(2 * SECOND);
    expect(shared.begun).toHaveLength(1);
  });
});

describe("a source without subscribers", () => {
  it("is no longer polled, and its result is forgotten", async () => {
    const { clock, poller } = world();
    const source = new FakeSource(clock);
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    poller.subscribe("shop/b", [{ source, intervalMs: MINUTE }]);
    await clock.advance(0);
    poller.subscribe("shop/a", []);
    await clock.advance(MINUTE);
    expect(source.begun).toHaveLength(2);
    poller.subscribe("shop/b", [{ source: new FakeSource(clock, "dogs"), intervalMs: MINUTE }]);
    await clock.advance(10 * MINUTE);
    expect(source.begun).toHaveLength(2);
    expect(poller.get(source).value).toBeUndefined();
  });

  it("has its poll in flight aborted, and no subscriber is notified of how that ends", async () => {
    for (const end of ["b", new Error("aborted")]) {
      const { clock, poller, notified } = world();
      const source = new FakeSource(clock);
      const finish = source.hold();
      poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
      await clock.advance(0);
      poller.subscribe("shop/a", []);
      expect(source.signal?.aborted).toBe(true);
      await finish(end);
      expect(notified).toEqual([]);
      expect(clock.pending).toBe(0);
      expect(poller.get(source)).toMatchObject({ value: undefined, error: undefined });
    }
  });

  it("is polled afresh when it gets a subscriber again", async () => {
    const { clock, poller, notified } = world();
    const source = new FakeSource(clock);
    const finish = source.hold();
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(0);
    poller.subscribe("shop/a", []);
    source.answer = "new";
    poller.subscribe("shop/a", [{ source, intervalMs: MINUTE }]);
    await clock.advance(0);
    await finish("old");
    expect(poller.get(source).value?.digest).toBe("new");
    expect(notified).toEqual(["shop/a"]);
  });
});

describe("closing", () => {
  it("aborts the polls in flight, waits for them, and begins no other", async () => {
    const { clock, poller, notified } = world();
    const sources = Array.from({ length: 6 }, (_, index) => new FakeSource(clock, `${index}`));
    const ends = sources.map((source) => source.hold());
    poller.subscribe(
      "shop/a",
      sources.map((source) => ({ source, intervalMs: MINUTE })),
    );
    await clock.advance(0);
    let closed = false;
    const closing = poller.close().then(() => (closed = true));
    await clock.advance(0);
    expect(sources[0]?.signal?.aborted).toBe(true);
    expect(closed).toBe(false);
    for (const end of ends) await end(new Error("aborted"));
    await closing;
    poller.subscribe("shop/b", [{ source: new FakeSource(clock, "late"), intervalMs: MINUTE }]);
    expect(clock.pending).toBe(0);
    expect(sources.map(({ begun }) => begun.length)).toEqual([1, 1, 1, 1, 0, 0]);
    expect(notified).toEqual([]);
  });
});

describe("in any sequence of events", () => {
  const step = fc.oneof(
    fc.record({
      do: fc.constant("subscribe" as const),
      who: fc.nat(2),
      what: fc.subarray([0, 1, 2, 3, 4, 5, 6]),
      seconds: fc.integer({ min: 1, max: 90 }),
    }),
    fc.record({ do: fc.constant("since" as const), what: fc.nat(6) }),
    fc.record({ do: fc.constant("advance" as const), seconds: fc.nat(100) }),
    fc.record({
      do: fc.constant("end" as const),
      what: fc.nat(6),
      how: fc.constantFrom("a", "b", unavailable(), unavailable(20 * SECOND)),
    }),
  );

  it("no source is polled twice at once, no host gets more than four polls, and every subscription is served", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { clock, poller } = world();
        const open = new Map<number, ((end: string | Error) => void)[]>();
        const wrong: string[] = [];
        let throttledUntil = 0;
        const sources = Array.from({ length: 7 }, (_, index) => {
          const source = new FakeSource(clock, `${index}`);
          source.answer = () => {
            if (clock.now() < throttledUntil)
              wrong.push(`${index} is polled while its host is throttled`);
            if (source.running > 1) wrong.push(`${index} is polled twice at once`);
            const { promise, resolve, reject } = Promise.withResolvers<string>();
            source.signal?.addEventListener("abort", () => reject(new Error("aborted")));
            const end = (how: string | Error): void => {
              if (how instanceof Error) reject(how);
              else resolve(how);
            };
            open.set(index, [...(open.get(index) ?? []), end]);
            return promise;
          };
          return source;
        });
        const wanted = new Map<number, readonly number[]>();
        for (const one of steps) {
          if (one.do === "subscribe") {
            wanted.set(one.who, one.what);
            const subscriptions = sources
              .filter((_, index) => one.what.includes(index))
              .map((source) => ({ source, intervalMs: one.seconds * SECOND }));
            poller.subscribe(`${one.who}`, subscriptions);
          } else if (one.do === "since") poller.pollSince(`${one.what}`, clock.now());
          else if (one.do === "advance") await clock.advance(one.seconds * SECOND);
          else {
            const { how } = one;
            const ends = open.get(one.what)?.splice(0) ?? [];
            const { running } = sources[one.what] ?? { running: 0 };
            if (running > 0 && how instanceof OperatorError)
              throttledUntil = Math.max(throttledUntil, clock.now() + (how.retryAfterMs ?? 0));
            for (const end of ends) end(how);
          }
          await clock.advance(0);
          const running = sources.reduce((sum, { running }) => sum + running, 0);
          if (running > 4) wrong.push(`${running} polls of one host`);
        }
        expect(wrong).toEqual([]);
        // From now on all goes well: what is wanted is seen, as it is now.
        for (const source of sources) source.answer = "last";
        for (const ends of open.values()) for (const end of ends.splice(0)) end("last");
        await clock.advance(20 * MINUTE);
        const since = clock.now();
        const all = new Set([...wanted.values()].flat());
        for (const index of all) poller.pollSince(`${index}`, since);
        await clock.advance(0);
        for (const [index, source] of sources.entries()) {
          const { value, checkedAt, error } = poller.get(source);
          expect({ value: value?.digest, error, seen: (checkedAt ?? 0) >= since }).toEqual(
            all.has(index)
              ? { value: "last", error: undefined, seen: true }
              : { value: undefined, error: undefined, seen: false },
          );
        }
        expect(clock.pending).toBe(all.size);
        await poller.close();
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});
