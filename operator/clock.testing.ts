import { setImmediate } from "node:timers/promises";

import type { Clock } from "./clock.ts";

/** A clock that stands still until a test advances it. */
export class ManualClock implements Clock {
  #now: number;
  #count = 0;
  readonly #timers = new Map<number, { readonly at: number; readonly callback: () => void }>();
  /** The result of `random`: in the middle, so that jitter is zero. */
  chance = 0.5;

  constructor(now = Date.parse("2026-03-01T08:00:00Z")) {
    this.#now = now;
  }

  readonly now = (): number => this.#now;
  readonly random = (): number => this.chance;
  readonly after = (ms: number, callback: () => void): (() => void) => {
    const id = (this.#count += 1);
    this.#timers.set(id, { at: this.#now + Math.max(0, ms), callback });
    return () => void this.#timers.delete(id);
  };

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** When the next timer is due; undefined when none is set. Milliseconds. */
  get nextAt(): number | undefined {
    return this.#timers.size === 0
      ? undefined
      : Math.min(...[...this.#timers.values()].map(({ at }) => at));
  }

  /** Advances timer by timer; promises that are settled by one continue before the next fires. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await setImmediate();
    for (;;) {
      const [next] = [...this.#timers].toSorted(([, a], [, b]) => a.at - b.at);
      if (next === undefined || next[1].at > end) break;
      const [id, { at, callback }] = next;
      this.#timers.delete(id);
      this.#now = Math.max(this.#now, at);
      callback();
      await setImmediate();
    }
    this.#now = end;
  }
}
