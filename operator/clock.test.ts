import { describe, expect, it } from "vitest";

import { ManualClock } from "./clock.testing.ts";
import { withDeadline } from "./clock.ts";

/** Ends when its signal does, with the reason. */
function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

describe("work with a deadline", () => {
  it("gives its result and leaves no timer behind", async () => {
    const clock = new ManualClock();
    const { signal } = new AbortController();
    await expect(withDeadline(clock, 1000, signal, async () => 7)).resolves.toBe(7);
    expect(clock.pending).toBe(0);
  });

  it("is aborted with a TimeoutError when the time is over", async () => {
    const clock = new ManualClock();
    const ended = withDeadline(clock, 1000, new AbortController().signal, untilAborted);
    const [error] = await Promise.all([
      ended.catch((reason: unknown) => reason),
      clock.advance(1000),
    ]);
    expect(error).toMatchObject({ name: "TimeoutError" });
  });

  it("is aborted with the reason of the signal that it was given", async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const ended = withDeadline(clock, 1000, stop.signal, untilAborted);
    stop.abort(new Error("stopped"));
    await expect(ended).rejects.toThrow("stopped");
    expect(clock.pending).toBe(0);
  });

  it("does not begin when the signal is aborted before", async () => {
    const begun: string[] = [];
    const ended = withDeadline(new ManualClock(), 1000, AbortSignal.abort(), async () => {
      begun.push("work");
    });
    await expect(ended).rejects.toMatchObject({ name: "AbortError" });
    expect(begun).toEqual([]);
  });
});
