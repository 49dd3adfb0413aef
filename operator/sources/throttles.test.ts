import { describe, expect, it } from "vitest";

import { ManualClock } from "../clock.testing.ts";
import { createThrottles } from "./throttles.ts";

describe("the pause of a login at a host", () => {
  it("is never shortened, and holds for no other login or host", async () => {
    const clock = new ManualClock();
    const throttles = createThrottles(clock);
    throttles.throttle("a.example", "one", 60_000);
    throttles.throttle("a.example", "one", 1000);
    await clock.advance(20_000);
    expect(throttles.pauseOf("a.example", "one")).toBe(40_000);
    expect(throttles.pauseOf("a.example", "two")).toBe(0);
    expect(throttles.pauseOf("b.example", "one")).toBe(0);
  });

  it("is kept while those that are over are forgotten", async () => {
    const clock = new ManualClock();
    const throttles = createThrottles(clock);
    throttles.throttle("throttled.example", "one", 60_000);
    for (let index = 0; index < 5000; index += 1) {
      throttles.throttle(`${index}.example`, "one", 1);
      await clock.advance(1);
    }
    expect(throttles.pauseOf("throttled.example", "one")).toBe(55_000);
    expect(throttles.size()).toBeLessThanOrEqual(2001);
  }, 60_000);

  it("is remembered for a bounded number of hosts", () => {
    const throttles = createThrottles(new ManualClock());
    for (let index = 0; index < 5000; index += 1)
      throttles.throttle(`${index}.example`, "one", 60_000);
    expect(throttles.size()).toBeLessThanOrEqual(2001);
  });
});
