import { expect, test } from "vitest";

import { createAdmission, type Admission } from "./admission.ts";
import { ServerError } from "./errors.ts";

/** A server of so many workers whose requests take `costMs` each, in virtual time. */
class World {
  time = 0;
  readonly admission: Admission;
  readonly #waiting: PromiseWithResolvers<void>[] = [];

  constructor(workers: number, maxWaitMs = 1000, overloadWaitMs = maxWaitMs) {
    const now = (): number => this.time;
    this.admission = createAdmission({ maxWaitMs, overloadWaitMs, workers, now });
  }

  waiting(): number {
    return this.#waiting.length;
  }

  /** A request; false when it was rejected. */
  async arrive(): Promise<boolean> {
    const work = Promise.withResolvers<void>();
    this.#waiting.push(work);
    try {
      await this.admission.admit(() => work.promise);
      return true;
    } catch {
      this.#waiting.splice(this.#waiting.indexOf(work), 1);
      return false;
    }
  }

  /** As time goes on, requests are answered, first come first served. */
  async pass(count: number, eachMs: number): Promise<void> {
    for (let done = 0; done < count; done += 1) {
      this.time += eachMs;
      this.#waiting.shift()?.resolve();
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    }
  }
}

async function settled(promises: readonly Promise<boolean>[]): Promise<number> {
  return (await Promise.all(promises)).filter((admitted) => !admitted).length;
}

/** So many requests come at once, and all or some of them are answered. Returns how many were rejected. */
async function serve(
  world: World,
  { count, answered = count, eachMs }: { count: number; answered?: number; eachMs: number },
): Promise<number> {
  const burst = Array.from({ length: count }, () => world.arrive());
  await world.pass(answered, eachMs);
  return settled(burst);
}

test("admits what will be answered in time, and rejects the rest at once", async () => {
  const world = new World(2);
  await serve(world, { count: 40, eachMs: 20 });
  // 50 a second are answered: fifty wait for a second.
  const burst = Array.from({ length: 200 }, () => world.arrive());
  expect(world.admission.expectedWaitMs()).toBeGreaterThan(950);
  expect(world.admission.expectedWaitMs()).toBeLessThan(1100);
  await world.pass(60, 20);
  expect(await settled(burst)).toBeGreaterThan(140);
});

/** For so long, three requests come for each that is answered. Returns how long those waited that were answered. */
async function overload(world: World, { ms, eachMs }: { ms: number; eachMs: number }) {
  const waits: number[] = [];
  const waiting: Promise<unknown>[] = [];
  const arrive = async (): Promise<void> => {
    const came = world.time;
    if (await world.arrive()) waits.push(world.time - came);
  };
  for (const end = world.time + ms; world.time < end;) {
    waiting.push(arrive(), arrive(), arrive());
    await world.pass(1, eachMs);
  }
  const answered = [...waits];
  while (world.waiting() > 0) await world.pass(1, eachMs);
  await Promise.all(waiting);
  return answered;
}

test("a burst may wait for longer than requests do once an overload lasts", async () => {
  const world = new World(2, 5000, 1000);
  await serve(world, { count: 40, eachMs: 20 });
  const waits = await overload(world, { ms: 40_000, eachMs: 20 });
  expect(Math.max(...waits.slice(0, 500))).toBeGreaterThan(4500);
  expect(Math.max(...waits.slice(-1000))).toBeLessThan(1100);
  // No worker was idle.
  expect(waits.length).toBeGreaterThan(1950);
});

test("once nothing waits, the next burst may wait as long as the first", async () => {
  const world = new World(2, 5000, 1000);
  await serve(world, { count: 40, eachMs: 20 });
  await overload(world, { ms: 30_000, eachMs: 20 });
  expect(await serve(world, { count: 240, eachMs: 20 })).toBe(0);
});

test("an overload leaves a slow model a few dozen requests", async () => {
  const world = new World(2, 5000, 1000);
  await serve(world, { count: 40, eachMs: 80 });
  await overload(world, { ms: 6000, eachMs: 80 });
  const waits = await overload(world, { ms: 30_000, eachMs: 80 });
  expect(Math.max(...waits.slice(-100))).toBeGreaterThan(3500);
  expect(Math.max(...waits.slice(-100))).toBeLessThan(4200);
});

test("never does an overload make requests wait for longer than a burst", async () => {
  const world = new World(2, 2000, 1000);
  await serve(world, { count: 40, eachMs: 80 });
  const waits = await overload(world, { ms: 30_000, eachMs: 80 });
  expect(Math.max(...waits)).toBeLessThan(2200);
});

test("a request at a time leaves the other workers free: that does not make requests dear", async () => {
  const world = new World(4);
  for (let index = 0; index < 20; index += 1) {
    const one = world.arrive();
    await world.pass(1, 40);
    expect(await one).toBe(true);
  }
  expect(await serve(world, { count: 90, eachMs: 10 })).toBe(0);
});

test("time without requests does not count", async () => {
  const world = new World(1);
  for (let index = 0; index < 40; index += 1) {
    const one = world.arrive();
    await world.pass(1, 1);
    await one;
    world.time += 3_600_000;
  }
  expect(await serve(world, { count: 100, eachMs: 1 })).toBe(0);
});

test("a few are admitted however slow the model is", async () => {
  const world = new World(1, 100);
  const slow = Array.from({ length: 16 }, () => world.arrive());
  await world.pass(16, 60_000);
  const next = Array.from({ length: 5 }, () => world.arrive());
  await world.pass(5, 60_000);
  expect(await settled([...slow, ...next])).toBe(1);
});

test("a machine that stood still for a while rejects nothing of what came meanwhile", async () => {
  const world = new World(2);
  const before = Array.from({ length: 100 }, () => world.arrive());
  await world.pass(100, 1);
  const meanwhile = Array.from({ length: 200 }, () => world.arrive());
  await world.pass(1, 5000);
  const after = Array.from({ length: 200 }, () => world.arrive());
  await world.pass(399, 1);
  expect(await settled([...before, ...meanwhile, ...after])).toBe(0);
});

test("the first requests are admitted, however slow threads and caches make them", async () => {
  const world = new World(2);
  const first = [world.arrive()];
  await world.pass(1, 5000);
  first.push(...Array.from({ length: 100 }, () => world.arrive()));
  await world.pass(100, 1);
  expect(await settled(first)).toBe(0);
});

test("refusals take their share of the time: they do not make answers dear", async () => {
  const world = new World(1);
  for (let index = 0; index < 400; index += 1) {
    const one = world.admission.admit(async () => {
      world.time += 100;
      if (index % 20 > 0) throw new Error("no JSON");
    });
    await one.catch(() => {});
  }
  expect(await serve(world, { count: 9, eachMs: 100 })).toBe(0);
});

test.each(["CLIENT_GONE", "TIMED_OUT", "OVERLOADED"] as const)(
  "requests that only waited (%s) do not make answers cheap",
  async (code) => {
    const world = new World(2);
    await serve(world, { count: 40, eachMs: 20 });
    const leave = async (): Promise<never> => {
      throw new ServerError(code, "not served");
    };
    for (let index = 0; index < 400; index += 1) await world.admission.admit(leave).catch(() => {});
    expect(await serve(world, { count: 200, answered: 60, eachMs: 20 })).toBeGreaterThan(140);
  },
);

test("requests that share a run do not make answers cheap", async () => {
  const world = new World(1);
  for (let run = 0; run < 20; run += 1) {
    const batch = Array.from({ length: 24 }, () => world.arrive());
    world.time += 480;
    await world.pass(24, 0);
    expect(await settled(batch)).toBe(0);
  }
  expect(await serve(world, { count: 200, answered: 60, eachMs: 20 })).toBeGreaterThan(140);
});
