import { Readable } from "node:stream";

import { describe, expect, it } from "vitest";

import { readBounded } from "../body.ts";
import { ManualClock } from "../clock.testing.ts";
import { createLogger } from "../log.ts";
import { createMetrics } from "../metrics.ts";
import { createSlices } from "../slices.ts";
import { noLimits, type NamespaceLimits } from "./namespace-budgets.ts";
import { createPoller, type Poller } from "./poller.ts";
import type { ImageSeen, Source } from "./source.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

class World {
  readonly clock = new ManualClock();
  /** Subscribers, in the order in which they were notified. */
  readonly notified: string[] = [];
  readonly poller: Poller;
  /** Polls by source. */
  readonly polls = new Map<string, number>();

  constructor(limits: Partial<NamespaceLimits>) {
    this.poller = createPoller({
      clock: this.clock,
      log: createLogger("silent"),
      metrics: createMetrics(),
      onChange: (subscriber) => void this.notified.push(subscriber),
      limits: { ...noLimits, ...limits },
    });
  }

  /** An app whose source is polled each second; `work` is done in each poll. */
  app(subscriber: string, key = subscriber, work = async (): Promise<void> => {}): Source {
    const source: Source<ImageSeen> = {
      key,
      kind: "image",
      host: `${key}.example`,
      login: "anonymous",
      poll: async () => {
        const polls = (this.polls.get(key) ?? 0) + 1;
        this.polls.set(key, polls);
        await work();
        const digest = `sha256:${key}`;
        return { kind: "image", image: "example.azurecr.io/cats:1", digest, lastPush: undefined };
      },
    };
    this.poller.subscribe(subscriber, [{ source, intervalMs: SECOND }]);
    return source;
  }

  errorOf(source: Source): string | undefined {
    const { error } = this.poller.get(source);
    return error && `${error.code}: ${error.message}`;
  }
}

describe("a namespace that polls more than it may", () => {
  it("is polled as often as it may, and says which limit that is; others are polled as they ask", async () => {
    const world = new World({ pollsPerMinute: 60 });
    const many = Array.from({ length: 20 }, (_, n) => world.app(`big/${n}`));
    const other = world.app("shop/cats");
    await world.clock.advance(10 * MINUTE);
    const polls = many.reduce((sum, { key }) => sum + (world.polls.get(key) ?? 0), 0);
    // 60 at once, and 60 a minute.
    expect(polls).toBeLessThanOrEqual(11 * 60);
    expect(polls).toBeGreaterThan(5 * 60);
    expect(many.filter(({ key }) => (world.polls.get(key) ?? 0) < 2)).toEqual([]);
    expect(many.map((source) => world.errorOf(source))).toContain(
      "NAMESPACE_LIMIT: the AIApps of namespace big have used up the 60 polls that they may use in a minute, and are polled less often: raise spec.interval of its AIApps, or ask an administrator to raise namespaceLimits.pollsPerMinute",
    );
    expect(world.polls.get(other.key)).toBeGreaterThan(590);
    expect(world.errorOf(other)).toBeUndefined();
  });

  it("hears of it once, not with each poll, and no longer once it polls less", async () => {
    const world = new World({ pollsPerMinute: 60 });
    const many = Array.from({ length: 20 }, (_, n) => world.app(`big/${n}`));
    await world.clock.advance(5 * MINUTE);
    world.notified.length = 0;
    await world.clock.advance(10 * MINUTE);
    expect(world.notified).toEqual([]);
    const [first, ...others] = many;
    for (const { key } of others) world.poller.subscribe(key, []);
    await world.clock.advance(20 * MINUTE);
    expect(first && world.errorOf(first)).toBeUndefined();
    expect(world.notified).toEqual(["big/0"]);
  });

  it("leaves the polls of a source to another namespace that names it too", async () => {
    const world = new World({ pollsPerMinute: 60 });
    for (let n = 0; n < 20; n += 1) world.app(`big/${n}`);
    const shared = world.app("big/shared", "shared");
    world.poller.subscribe("shop/cats", [{ source: shared, intervalMs: SECOND }]);
    await world.clock.advance(MINUTE);
    expect(world.polls.get("shared")).toBeGreaterThan(50);
    expect(world.errorOf(shared)).toBeUndefined();
  });
});

describe("a namespace whose polls take more than they may", () => {
  it("is limited by the bytes of responses", async () => {
    const world = new World({ bytesPerMinute: 10_000 });
    const read = async (): Promise<void> => {
      await readBounded(Readable.from([Buffer.alloc(5000)]), 8000);
    };
    const big = world.app("big/cats", "big", read);
    const small = world.app("shop/cats");
    await world.clock.advance(5 * MINUTE);
    expect(world.errorOf(big)).toMatch(/NAMESPACE_LIMIT: .* 10000 bytes .*bytesPerMinute$/);
    expect(world.polls.get("big")).toBeLessThanOrEqual(12);
    expect(world.errorOf(small)).toBeUndefined();
  });

  it("is limited by the CPU that lists take", async () => {
    const world = new World({ cpuMsPerMinute: 1000 });
    let time = 0;
    const slices = createSlices(() => time);
    const tags = Array.from({ length: 400 }, () => "tag");
    const choose = (): Promise<void> =>
      slices.forEach(tags, () => (time += 1), AbortSignal.timeout(60_000));
    const big = world.app("big/cats", "big", choose);
    const small = world.app("shop/cats");
    for (let second = 0; second < 300; second += 1) await world.clock.advance(SECOND);
    expect(world.errorOf(big)).toMatch(/NAMESPACE_LIMIT: .* 1000 ms of CPU .*cpuMsPerMinute$/);
    // Each poll takes 400 ms.
    expect(world.polls.get("big")).toBeLessThanOrEqual(15);
    expect(world.polls.get("shop/cats")).toBeGreaterThan(290);
    expect(world.errorOf(small)).toBeUndefined();
  });
});

it("without limits, all are polled as they ask", async () => {
  const world = new World({});
  const many = Array.from({ length: 20 }, (_, n) => world.app(`big/${n}`));
  await world.clock.advance(MINUTE);
  for (const source of many) {
    expect(world.polls.get(source.key)).toBeGreaterThan(55);
    expect(world.errorOf(source)).toBeUndefined();
  }
});
