import { beforeEach, describe, expect, it } from "vitest";

import { ManualClock } from "../clock.testing.ts";
import { OperatorError } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import { createLogger } from "../log.ts";
import { createMetrics } from "../metrics.ts";
import { startController } from "../runtime/controller.ts";
import { NamedSecrets } from "./named-secrets.ts";

const stop = new AbortController();
const SECOND = 1000;
const MINUTE = 60 * SECOND;

let clock: ManualClock;
/** By name, in the namespace `shop`: its password. */
let objects: Map<string, string | Error>;
let reads: string[];
let notified: string[];
let secrets: NamedSecrets;

beforeEach(() => {
  clock = new ManualClock();
  objects = new Map();
  reads = [];
  notified = [];
  const get = async (_: unknown, namespace: string, name: string): Promise<unknown> => {
    reads.push(`${namespace}/${name}`);
    const found = objects.get(name);
    if (found instanceof Error) throw found;
    return found === undefined ? undefined : { data: { password: btoa(found) } };
  };
  const tools = { clock, log: createLogger("silent"), metrics: createMetrics() };
  secrets = new NamedSecrets({
    // Of the port, `get` is the only part that it has; its type parameter is the kind's.
    kube: { get } as unknown as Pick<Kube, "get">,
    clock,
    start: (reconcile) =>
      startController(
        { name: "secrets", workers: 2, reconcile },
        { ...tools, ready: async () => undefined },
        stop.signal,
      ),
    onChange: (app) => void notified.push(app),
  });
});

const read = async (name = "login"): Promise<string | undefined> =>
  (await secrets.read("shop", name, stop.signal))?.data["password"];

/** As a reconcile does. */
async function reconcile(...apps: readonly string[]): Promise<void> {
  for (const app of apps) {
    secrets.follow(app, ["login"]);
    await read().catch(() => {});
  }
}

describe("a Secret that many apps name", () => {
  it("is read once a minute for all of them, and none is notified while it is the same", async () => {
    objects.set("login", "meow");
    await reconcile("shop/cats", "shop/dogs", "shop/cows");
    reads.length = 0;
    await clock.advance(10 * MINUTE);
    expect(reads).toHaveLength(10);
    expect(notified).toEqual([]);
  });

  it.each([
    ["is changed", "purr"],
    ["is deleted", undefined],
    ["may no longer be read", new OperatorError("KUBE_FORBIDDEN", "no")],
  ])("notifies each of them within a minute, once, when it %s", async (_, found) => {
    objects.set("login", "meow");
    await reconcile("shop/cats", "shop/dogs");
    if (found === undefined) objects.delete("login");
    else objects.set("login", found);
    await clock.advance(MINUTE);
    expect(notified.toSorted()).toEqual(["shop/cats", "shop/dogs"]);
    await clock.advance(10 * MINUTE);
    expect(notified).toHaveLength(2);
  });

  it("notifies them when it appears", async () => {
    await reconcile("shop/cats");
    objects.set("login", "meow");
    await clock.advance(MINUTE);
    expect(notified).toEqual(["shop/cats"]);
    expect(await read()).toBe("meow");
  });

  it("notifies all of them when the reconcile of one finds that it has changed", async () => {
    objects.set("login", "meow");
    await reconcile("shop/cats", "shop/dogs");
    objects.set("login", "purr");
    await clock.advance(10 * SECOND);
    await reconcile("shop/cats");
    expect(notified).toContain("shop/dogs");
  });

  it("is read by their reconciles as the minutely read found it", async () => {
    objects.set("login", "meow");
    await reconcile("shop/cats");
    await clock.advance(29 * SECOND);
    objects.set("login", "purr");
    await clock.advance(SECOND);
    expect(notified).toEqual(["shop/cats"]);
    expect(await read()).toBe("purr");
  });

  it("is read again soon while the API server does not respond, and then notifies", async () => {
    objects.set("login", "meow");
    await reconcile("shop/cats");
    objects.set("login", new OperatorError("KUBE_UNAVAILABLE", "no response"));
    await clock.advance(31 * SECOND);
    expect(notified).toEqual([]);
    objects.set("login", "purr");
    await clock.advance(10 * SECOND);
    expect(notified).toEqual(["shop/cats"]);
  });
});

describe("a Secret that no app names any more", () => {
  it("is not read any more", async () => {
    objects.set("login", "meow");
    await reconcile("shop/cats", "shop/dogs");
    secrets.follow("shop/cats", []);
    reads.length = 0;
    await clock.advance(2 * MINUTE);
    expect(reads).toHaveLength(2);
    secrets.follow("shop/dogs", ["other"]);
    reads.length = 0;
    await clock.advance(2 * MINUTE);
    expect(new Set(reads)).toEqual(new Set(["shop/other"]));
  });

  it("of several that an app names, is not read any more, and the others are", async () => {
    secrets.follow("shop/cats", ["login", "store"]);
    secrets.follow("shop/cats", ["store"]);
    await clock.advance(2 * MINUTE);
    expect(new Set(reads)).toEqual(new Set(["shop/store"]));
  });
});

describe("a Secret of the same name in another namespace", () => {
  it("is another one", async () => {
    secrets.follow("shop/cats", ["login"]);
    secrets.follow("zoo/cats", ["login"]);
    await clock.advance(MINUTE);
    expect(reads.toSorted()).toEqual(["shop/login", "zoo/login"]);
  });
});
