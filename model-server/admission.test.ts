import { expect, test } from "vitest";

import { createAdmission, type Admission } from "./admission.ts";
import { ServerError } from "./errors.ts";

/** A server of so many workers whose requests take `costMs` each, in virtual time. */
class World {
  time = 0;
  readonly admission: Admission;
  readonly #waiting: PromiseWithResolvers<void>[] = [];

  constructor(workers: number, maxWaitMs = 1000) {
    this.admission = createAdmission({ maxWaitMs, workers, now: () => this.time });
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
