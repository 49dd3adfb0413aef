import { describe, expect, it } from "vitest";

import { ManualClock } from "../clock.testing.ts";
import { OperatorError } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import type { CoreV1Event, KubernetesObject } from "../kube/types.ts";
import { createLogger } from "../log.ts";
import { createRecorder, type EventNote } from "./recorder.ts";

const MINUTE = 60_000;
const NOTE: EventNote = {
  type: "Normal",
  reason: "Released",
  message: "release 1 is fully rolled out",
};
const SIGNAL = new AbortController().signal;

function app(name = "cats"): KubernetesObject {
  const metadata = { namespace: "shop", name, uid: `uid-of-${name}`, resourceVersion: "7" };
  return { apiVersion: "aiapp.dev/v1alpha1", kind: "AIApp", metadata };
}

/** The Events of a cluster, in memory. */
class World {
  readonly clock = new ManualClock();
  readonly events = new Map<string, CoreV1Event>();
  requests = 0;
  failure: Error | undefined;
  readonly #kube: Pick<Kube, "create" | "patch"> = {
    create: (_, object) => {
      this.#request();
      const name = object.metadata?.name ?? "";
      if (this.events.has(name)) throw new OperatorError("KUBE_CONFLICT", "there already");
      this.events.set(name, object as KubernetesObject as CoreV1Event);
      return Promise.resolve(object);
    },
    patch: <T extends KubernetesObject>(_: unknown, __: unknown, name: string, patch: unknown) => {
      this.#request();
      const event = this.events.get(name);
      if (event === undefined) throw new OperatorError("KUBE_NOT_FOUND", "not there");
      return Promise.resolve(Object.assign(event, patch) as KubernetesObject as T);
    },
  };
  readonly recorder = createRecorder({
    // All that it needs of it.
    kube: this.#kube as Kube,
    component: "aiapp-operator",
    instance: "operator-0",
    clock: this.clock,
    log: createLogger("silent"),
  });

  #request(): void {
    this.requests += 1;
    if (this.failure !== undefined) throw this.failure;
  }

  /** Each event a moment after the one before: names are made of the time. */
  async record(note: Partial<EventNote> = {}, about = app()): Promise<void> {
    await this.clock.advance(1);
    await this.recorder.record(about, { ...NOTE, ...note }, SIGNAL);
  }

  get counts(): readonly (number | undefined)[] {
    return [...this.events.values()].map(({ count }) => count);
  }
}

describe("an event", () => {
  it("names the object, the reason, the time and the component", async () => {
    const world = new World();
    await world.record();
    const [[name, event] = ["", undefined]] = world.events;
    expect(name).toMatch(/^cats\.[0-9a-f]+$/);
    expect(event).toMatchObject({
      metadata: { namespace: "shop" },
      involvedObject: {
        apiVersion: "aiapp.dev/v1alpha1",
        kind: "AIApp",
        namespace: "shop",
        name: "cats",
        uid: "uid-of-cats",
      },
      ...NOTE,
      count: 1,
      firstTimestamp: "2026-03-01T08:00:00Z",
      lastTimestamp: "2026-03-01T08:00:00Z",
      source: { component: "aiapp-operator" },
      reportingInstance: "operator-0",
    });
  });

  it("is counted, not written again, when it repeats within ten minutes", async () => {
    const world = new World();
    await world.record();
    for (let times = 0; times < 3; times += 1) {
      await world.clock.advance(9 * MINUTE);
      await world.record();
    }
    expect(world.counts).toEqual([4]);
    const [event] = world.events.values();
    expect(event?.lastTimestamp).toBe("2026-03-01T08:27:00Z");
    expect(event?.firstTimestamp).toBe("2026-03-01T08:00:00Z");
  });

  it("is created again when it repeats after that", async () => {
    const world = new World();
    await world.record();
    await world.clock.advance(11 * MINUTE);
    await world.record();
    expect(world.counts).toEqual([1, 1]);
  });

  it("is created again when it was deleted in between", async () => {
    const world = new World();
    await world.record();
    world.events.clear();
    await world.record();
    expect(world.counts).toEqual([1]);
  });

  it("is one of its own for another message, reason, type or object", async () => {
    const world = new World();
    await world.record();
    await world.record({ message: "release 2 is fully rolled out" });
    await world.record({ reason: "RollingOut" });
    await world.record({ type: "Warning" });
    await world.record({}, app("dogs"));
    expect(world.counts).toEqual([1, 1, 1, 1, 1]);
  });

  it("is no longer than the API server takes, and repeats all the same", async () => {
    const world = new World();
    const message = "x".repeat(5000);
    await world.record({ message }, app("c".repeat(253)));
    await world.record({ message: `${message} and so on` }, app("c".repeat(253)));
    const [[name, event] = ["", undefined]] = world.events;
    expect(event?.message).toHaveLength(1024);
    expect(name.length).toBeLessThanOrEqual(253);
    expect(world.counts).toEqual([2]);
  });
});

describe("too many events", () => {
  it("about one object are dropped, then written again at a slow rate", async () => {
    const world = new World();
    for (let number = 0; number < 40; number += 1) await world.record({ message: `${number}` });
    expect(world.events.size).toBe(25);
    await world.clock.advance(2 * MINUTE);
    for (let number = 50; number < 60; number += 1) await world.record({ message: `${number}` });
    expect(world.events.size).toBe(27);
  });

  it("do not affect events about other objects", async () => {
    const world = new World();
    for (let number = 0; number < 40; number += 1) await world.record({ message: `${number}` });
    await world.record({}, app("dogs"));
    expect(world.events.size).toBe(26);
  });

  it("are remembered within a bound: the oldest are evicted first", async () => {
    const world = new World();
    for (let number = 0; number < 1100; number += 1) await world.record({}, app(`app-${number}`));
    await world.record({}, app("app-0"));
    await world.record({}, app("app-1099"));
    const counts = new Map(
      [...world.events.values()].map(({ involvedObject, count }) => [involvedObject.name, count]),
    );
    expect(world.events.size).toBe(1101);
    expect(counts.get("app-0")).toBe(1);
    expect(counts.get("app-1099")).toBe(2);
  });
});

describe("an API server that fails", () => {
  it("loses the event, and nothing else", async () => {
    const world = new World();
    world.failure = new OperatorError("KUBE_UNAVAILABLE", "does not answer");
    await world.record();
    await world.record();
    expect(world.events.size).toBe(0);
    world.failure = undefined;
    await world.record();
    expect(world.counts).toEqual([1]);
  });

  it("is called once for each event", async () => {
    const world = new World();
    await world.record();
    world.failure = new OperatorError("KUBE_FORBIDDEN", "not allowed");
    await world.record();
    expect(world.requests).toBe(2);
    world.failure = undefined;
    await world.record();
    expect(world.counts).toEqual([2]);
  });
});
