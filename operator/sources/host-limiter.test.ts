import { describe, expect, it } from "vitest";

import { ManualClock } from "../clock.testing.ts";
import { createHostLimiter } from "./host-limiter.ts";

describe("the host limiter", () => {
  it("keeps the pause of a host while it forgets those that are idle", async () => {
    const clock = new ManualClock();
    const limiter = createHostLimiter(clock);
    limiter.throttle("throttled.example", 60_000);
    for (let index = 0; index < 3000; index += 1)
      await limiter.run(`${index}.example`, () => Promise.resolve());
    expect(limiter.pauseOf("throttled.example")).toBe(60_000);
    expect(limiter.size()).toBeLessThanOrEqual(1000);
  });

  it("never shortens a pause", async () => {
    const clock = new ManualClock();
    const limiter = createHostLimiter(clock);
    limiter.throttle("a.example", 60_000);
    limiter.throttle("a.example", 1000);
    await clock.advance(20_000);
    expect(limiter.pauseOf("a.example")).toBe(40_000);
    expect(limiter.pauseOf("b.example")).toBe(0);
  });

  it("keeps the limit of a host with a task in flight while it forgets others", async () => {
    const limiter = createHostLimiter(new ManualClock());
    const gate = Promise.withResolvers<void>();
    const first = Array.from({ length: 4 }, () => limiter.run("busy.example", () => gate.promise));
    for (let index = 0; index < 2000; index += 1)
      await limiter.run(`${index}.example`, () => Promise.resolve());
    let started = false;
    const fifth = limiter.run("busy.example", async () => void (started = true));
    await Promise.resolve();
    expect(started).toBe(false);
    gate.resolve();
    await Promise.all([...first, fifth]);
    expect(started).toBe(true);
  });
});
