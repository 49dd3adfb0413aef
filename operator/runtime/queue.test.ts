import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { ManualClock } from "../clock.testing.ts";
import { createMetrics, type Metrics } from "../metrics.ts";
import { priorities } from "./pending.ts";
import { createQueue, type Outcome, type Queue, type QueueOptions } from "./queue.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DONE: Outcome = { kind: "done" };

class World {
  readonly clock = new ManualClock();
  readonly metrics: Metrics;
  readonly start = this.clock.now();
  /** Each begin of work: which key, and after how many seconds. */
  readonly begun: [key: string, seconds: number][] = [];
  readonly errors: [key: string, error: unknown][] = [];
  readonly #running = new Map<
    string,
    { resolve: (end: Outcome) => void; reject: (e: Error) => void }
  >();
  readonly queue: Queue;
  mostAtOnce = 0;
  twiceAtOnce = false;
  /** When not set, work goes on until a test ends it. */
  outcome: (() => Outcome) | undefined;

  constructor(
    workers = 1,
    onError: QueueOptions["onError"] = () => ({ retry: true }),
    metrics = createMetrics(),
  ) {
    this.metrics = metrics;
    this.queue = createQueue({
      name: "test",
      workers,
      clock: this.clock,
      metrics: this.metrics,
      work: (key) => this.#work(key),
      onError: (key, error) => {
        this.errors.push([key, error]);
        return onError(key, error);
      },
    });
  }

  async #work(key: string): Promise<Outcome> {
    this.begun.push([key, (this.clock.now() - this.start) / SECOND]);
    if (this.#running.has(key)) this.twiceAtOnce = true;
    if (this.outcome !== undefined) return this.outcome();
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    this.#running.set(key, { resolve, reject });
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#running.size);
    return promise.finally(() => this.#running.delete(key));
  }

  get running(): readonly string[] {
    return [...this.#running.keys()];
  }

  get keys(): readonly string[] {
    return this.begun.map(([key]) => key);
  }

  async end(key: string, how: Outcome | Error = DONE): Promise<void> {
    const work = this.#running.get(key);
    if (how instanceof Error) work?.reject(how);
    else work?.resolve(how);
    await this.clock.advance(0);
  }

  async metric(name: string): Promise<number | undefined> {
    const found = await this.metrics.registry.getSingleMetric(name)?.get();
    return found?.values[0]?.value;
  }
}

describe("a key", () => {
  it("is worked on by one worker at a time", async () => {
    const world = new World(4);
    world.queue.add("a", "default");
    world.queue.add("a", "default");
    await world.clock.advance(0);
    expect(world.running).toEqual(["a"]);
    expect(world.begun).toHaveLength(1);
  });

  it("waits at most once", async () => {
    const world = new World(1);
    for (const key of ["a", "b", "b", "c", "b"]) world.queue.add(key, "default");
    for (const key of ["a", "b", "c"]) await world.end(key);
    expect(world.keys).toEqual(["a", "b", "c"]);
    expect(world.running).toEqual([]);
  });

  it("added while it is worked on is worked on again, once, after those that waited", async () => {
    const world = new World(1);
    world.queue.add("a", "default");
    world.queue.add("b", "default");
    world.queue.add("a", "default");
    world.queue.add("a", "default");
    await world.end("a");
    world.queue.add("c", "default");
    for (const key of ["b", "a", "c"]) await world.end(key);
    expect(world.keys).toEqual(["a", "b", "a", "c"]);
  });
});

describe("workers", () => {
  it("take keys by priority: a key added while it is worked on by the highest that it was added with", async () => {
    const world = new World(1);
    world.queue.add("a", "default");
    world.queue.add("b", "background");
    world.queue.add("c", "release");
    world.queue.add("a", "retry");
    world.queue.add("a", "user");
    for (const key of ["a", "a", "c", "b"]) await world.end(key);
    expect(world.keys).toEqual(["a", "a", "c", "b"]);
  });

  it("take keys in the order in which they came, so many at once", async () => {
    const world = new World(2);
    for (const key of ["a", "b", "c", "d"]) world.queue.add(key, "default");
    expect(world.running).toEqual(["a", "b"]);
    await world.end("b");
    expect(world.running).toEqual(["a", "c"]);
    await world.end("a");
    expect(world.running).toEqual(["c", "d"]);
    expect(world.mostAtOnce).toBe(2);
  });
});

describe("a key for later", () => {
  it("is worked on then; of several times the earliest counts", async () => {
    const world = new World();
    world.outcome = () => DONE;
    world.queue.addAfter("a", 30 * SECOND, "default");
    world.queue.addAfter("a", 10 * SECOND, "default");
    world.queue.addAfter("a", 20 * SECOND, "default");
    await world.clock.advance(MINUTE);
    expect(world.begun).toEqual([["a", 10]]);
  });

  it("comes no second time when it is added before", async () => {
    const world = new World();
    world.outcome = () => DONE;
    world.queue.addAfter("a", 30 * SECOND, "default");
    await world.clock.advance(10 * SECOND);
    world.queue.add("a", "default");
    await world.clock.advance(MINUTE);
    expect(world.begun).toEqual([["a", 10]]);
  });

  it("may be asked for by the work itself", async () => {
    const world = new World();
    const outcomes: Outcome[] = [{ kind: "requeue", afterMs: 10 * SECOND }, DONE];
    world.outcome = () => outcomes.shift() ?? DONE;
    world.queue.add("a", "default");
    await world.clock.advance(MINUTE);
    expect(world.begun).toEqual([
      ["a", 0],
      ["a", 10],
    ]);
  });
});

describe("work that fails", () => {
  const failing = (): Outcome => {
    throw new Error("no");
  };

  it("comes back later each time, and soon again after a success", async () => {
    const world = new World();
    world.outcome = failing;
    world.queue.add("a", "default");
    await world.clock.advance(6 * SECOND);
    expect(world.begun.map(([, seconds]) => seconds)).toEqual([0, 0.75, 2.25, 5.25]);
    world.outcome = () => DONE;
    await world.clock.advance(6 * SECOND);
    world.outcome = failing;
    world.queue.add("a", "default");
    await world.clock.advance(SECOND);
    expect(world.begun.map(([, seconds]) => seconds).slice(4)).toEqual([11.25, 12, 12.75]);
    expect(world.errors).toHaveLength(6);
  });

  it("comes back every quarter of an hour at least", async () => {
    const world = new World();
    world.outcome = failing;
    world.queue.add("a", "default");
    await world.clock.advance(24 * 60 * MINUTE);
    const times = world.begun.map(([, seconds]) => seconds);
    const gaps = times.slice(1).map((seconds, index) => seconds - (times[index] ?? 0));
    expect(Math.max(...gaps)).toBe(15 * 60);
    expect(gaps).toEqual(gaps.toSorted((a, b) => a - b));
  });

  it("does not come back after a permanent error, until it is added", async () => {
    const world = new World(1, () => ({ retry: false }));
    world.outcome = failing;
    world.queue.add("a", "default");
    await world.clock.advance(60 * MINUTE);
    expect(world.begun).toHaveLength(1);
    world.queue.add("a", "default");
    expect(world.begun).toHaveLength(2);
  });

  it("does not come back sooner than it may", async () => {
    const world = new World(1, () => ({ retry: true, minimumMs: 30 * SECOND }));
    world.outcome = failing;
    world.queue.add("a", "default");
    await world.clock.advance(31 * SECOND);
    expect(world.begun).toEqual([
      ["a", 0],
      ["a", 30],
    ]);
  });

  it("comes back behind all other keys", async () => {
    const world = new World(1);
    world.queue.add("a", "user");
    world.queue.add("b", "background");
    await world.end("a", new Error("no"));
    world.queue.add("c", "background");
    await world.clock.advance(SECOND);
    for (const key of ["b", "c", "a"]) await world.end(key);
    expect(world.keys).toEqual(["a", "b", "c", "a"]);
  });

  it("does not hold up other keys", async () => {
    const world = new World(1);
    world.queue.add("a", "default");
    world.queue.add("b", "default");
    await world.end("a", new Error("no"));
    expect(world.running).toEqual(["b"]);
    expect(world.errors).toEqual([["a", new Error("no")]]);
  });
});

describe("closing", () => {
  it("waits for the work in flight and begins no more", async () => {
    const world = new World(2);
    for (const key of ["a", "b", "c"]) world.queue.add(key, "default");
    world.queue.addAfter("d", SECOND, "default");
    world.queue.add("a", "default");
    let closed = false;
    const closing = world.queue.close().then(() => (closed = true));
    world.queue.add("e", "default");
    world.queue.addAfter("f", 0, "default");
    await world.end("a", { kind: "requeue", afterMs: 0 });
    expect(closed).toBe(false);
    await world.end("b", new Error("no"));
    await closing;
    await world.clock.advance(MINUTE);
    expect(world.keys).toEqual(["a", "b"]);
    expect(world.clock.pending).toBe(0);
  });

  it("is done at once when there is no work, and may be asked for twice", async () => {
    const { queue } = new World();
    await expect(Promise.all([queue.close(), queue.close()])).resolves.toHaveLength(2);
  });
});

describe("the metrics", () => {
  it("count what waits, what is added, what comes back, and how long work takes", async () => {
    const world = new World(1);
    for (const key of ["a", "b", "c"]) world.queue.add(key, "default");
    await world.clock.advance(3 * SECOND);
    expect(await world.metric("workqueue_depth")).toBe(2);
    expect(await world.metric("workqueue_adds_total")).toBe(3);
    expect(await world.metric("workqueue_unfinished_work_seconds")).toBe(3);
    expect(await world.metric("workqueue_longest_running_processor_seconds")).toBe(3);
    await world.end("a", new Error("no"));
    expect(await world.metric("workqueue_retries_total")).toBe(1);
    expect(await world.metric("workqueue_depth")).toBe(1);
    expect(await world.metric("workqueue_unfinished_work_seconds")).toBe(0);
  });

  it("give the pending keys by priority, and how long the oldest has waited", async () => {
    const world = new World(1);
    world.queue.add("a", "default");
    world.queue.add("b", "background");
    await world.clock.advance(3 * SECOND);
    world.queue.add("c", "release");
    await world.clock.advance(SECOND);
    const text = await world.metrics.registry.metrics();
    expect(text).toContain('aiapp_queue_pending{name="test",priority="background"} 1');
    expect(text).toContain('aiapp_queue_pending{name="test",priority="user"} 0');
    expect(text).toContain('aiapp_queue_oldest_seconds{name="test",priority="background"} 4');
    expect(text).toContain('aiapp_queue_oldest_seconds{name="test",priority="release"} 1');
  });
});

describe("any sequence of adds, failures and time", () => {
  const key = fc.constantFrom("a", "b", "c", "d");
  const seconds = fc.nat(20);
  const priority = fc.constantFrom(...priorities);
  const metrics = createMetrics();
  const step = fc.oneof(
    fc.record({ do: fc.constant("add" as const), key, priority }),
    fc.record({ do: fc.constant("later" as const), key, seconds, priority }),
    fc.record({ do: fc.constant("advance" as const), seconds }),
    fc.record({
      do: fc.constant("end" as const),
      key,
      how: fc.constantFrom<Outcome | Error>(
        DONE,
        { kind: "requeue", afterMs: 5 * SECOND },
        new Error("no"),
      ),
    }),
  );

  it("every add is followed by work that begins after it, never by two workers", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.array(step, { maxLength: 50 }),
        async (workers, steps) => {
          const world = new World(workers, undefined, metrics);
          /** How much work had begun when a key was last added. */
          const lastAdds = new Map<string, number>();
          let [adds, ends] = [0, 0];
          for (const one of steps) {
            if (one.do === "advance") await world.clock.advance(one.seconds * SECOND);
            else if (one.do === "end") {
              if (world.running.includes(one.key)) ends += 1;
              await world.end(one.key, one.how);
            } else {
              adds += 1;
              lastAdds.set(one.key, world.begun.length);
              if (one.do === "add") world.queue.add(one.key, one.priority);
              else world.queue.addAfter(one.key, one.seconds * SECOND, one.priority);
            }
            // Nothing waits while a worker is free.
            const depth = (await world.metric("workqueue_depth")) ?? 0;
            expect(depth === 0 || world.running.length === workers).toBe(true);
          }
          // From now on all work succeeds at once.
          world.outcome = () => DONE;
          for (const key of world.running) await world.end(key);
          await world.clock.advance(60 * MINUTE);
          for (const [key, before] of lastAdds)
            expect(world.keys.slice(before), `${key} was added`).toContain(key);
          expect(world.twiceAtOnce).toBe(false);
          expect(world.mostAtOnce).toBeLessThanOrEqual(workers);
          // Each begin has a cause: an add, or work that asked for more or failed.
          expect(world.begun.length).toBeLessThanOrEqual(adds + ends);
          await world.queue.close();
        },
      ),
      { numRuns: 200 },
    );
  });
});
