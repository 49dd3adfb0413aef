import { setImmediate } from "node:timers/promises";

import type { Clock } from "./clock.ts";

interface Timer {
  readonly id: number;
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that stands still until a test advances it. */
export class ManualClock implements Clock {
  #now: number;
  #count = 0;
  /** In the order in which they were set. */
  readonly #timers = new Map<number, Timer>();
  /** The result of `random`: in the middle, so that jitter is zero. */
  chance = 0.5;

  constructor(now = Date.parse("2026-03-01T08:00:00Z")) {
    this.#now = now;
  }

  readonly now = (): number => this.#now;
  readonly random = (): number => this.chance;
  readonly after = (ms: number, callback: () => void): (() => void) => {
    const id = (this.#count += 1);
    // The time is in whole milliseconds, as Date.now is.
    this.#timers.set(id, { id, at: this.#now + Math.ceil(Math.max(0, ms)), callback });
    return () => void this.#timers.delete(id);
  };

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** When the next timer is due; undefined when none is set. Milliseconds. */
  get nextAt(): number | undefined {
    return this.#next()?.at;
  }

  /** Of timers that are due at the same time the one that was set first. */
  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers.values())
      if (next === undefined || timer.at < next.at) next = timer;
    return next;
  }

  /** Advances timer by timer; promises that are settled by one continue before the next fires. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await setImmediate();
    for (;;) {
      const next = this.#next();
      if (next === undefined || next.at > end) break;
      this.#timers.delete(next.id);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await setImmediate();
    }
    this.#now = end;
  }
}
