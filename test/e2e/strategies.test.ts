import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { AIApp } from "../../crds/aiapp/aiapp.ts";
import { annotations } from "../../crds/names.ts";
import type {
  V1ControllerRevision,
  V1Deployment,
  V1Pod,
  V1Service,
} from "../../operator/kube/types.ts";
import { known, models } from "../demo/pictures.ts";
import { condition, readApp, waitFor } from "../support/aiapp.ts";
import type { Platform } from "../support/platform.ts";
import type { Traffic } from "../traffic/start.ts";
import {
  annotate,
  apply,
  ask,
  crashesInRollout,
  digits,
  everyKind,
  list,
  patch,
  publish,
  serving,
  setUp,
  tearDown,
  traffic,
} from "./harness.ts";

/** Blue-green and canaries: switched, gone back from, promoted, undone, under traffic from the first test to the last. */

const NAMESPACE = "e2e-strategies";
const NAME = "digits";
const WHERE = { namespace: NAMESPACE, name: NAME } as const;
/** Of an idle machine a second; tests run beside each other. */
const BACK_MS = 3000;
let platform: Platform;
let load: Traffic;

beforeAll(async () => {
  platform = await setUp(NAMESPACE, ["1"]);
  const rollout = { strategy: "BlueGreen" };
  await apply(platform, digits(platform, NAMESPACE, NAME, { replicas: 2, rollout }));
  const app = await until("the first release", () => true);
  load = await traffic(app.status?.url, everyKind);
});
afterAll(() => tearDown(platform, NAMESPACE));

const until = (what: string, check: (app: AIApp) => boolean): Promise<AIApp> =>
  serving(platform, NAMESPACE, NAME, what, check);

function listOwned<T>(kind: string): Promise<readonly T[]> {
  return list<T>(platform, NAMESPACE, kind, `aiapp.dev/app=${NAME}`);
}

async function selected(): Promise<string | undefined> {
  const [service] = await listOwned<V1Service>("services");
  return service?.spec?.selector?.["aiapp.dev/role"];
}

async function podNames(): Promise<readonly string[]> {
  return (await listOwned<V1Pod>("pods")).map(({ metadata }) => metadata?.name ?? "").toSorted();
}

/** Waits until the pod that verified is gone: its server drains. */
async function noVerification(): Promise<void> {
  const selector = `aiapp.dev/app=${NAME},aiapp.dev/role=verification`;
  await expect
    .poll(async () => list<V1Pod>(platform, NAMESPACE, "pods", selector), { timeout: 30_000 })
    .toEqual([]);
}

/** Asks over new connections until the answer is of this release. Returns when that was. */
async function firstAnswerOf(url: string | undefined, id: string | undefined): Promise<number> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await delay(20)) {
    const { release } = await ask(url);
    if (release === id) return Date.now();
  }
  throw new Error(`release ${id} does not serve within 30 s`);
}

/** Waits until one Deployment is left. */
async function oneSet(): Promise<void> {
  await expect
    .poll(async () => (await listOwned<V1Deployment>("deployments")).length, { timeout: 30_000 })
    .toBe(1);
}

describe("a blue-green release", () => {
  it("comes up whole in a second set, and then gets all requests", async () => {
    await publish(platform, NAMESPACE, "2");
    await patch(platform, NAMESPACE, NAME, { modelVersion: "2" });
    await until("version 2", ({ status }) => status?.current?.modelVersion === "2");
    expect(await selected()).toBe("candidate");
    const deployments = await listOwned<V1Deployment>("deployments");
    expect(
      Object.fromEntries(
        deployments.map(({ metadata, status }) => [metadata?.name, status?.readyReplicas]),
      ),
    ).toEqual({ digits: 2, "digits-candidate": 2 });
  });

  it("is gone back from without a new pod, within a second or so", async () => {
    await noVerification();
    const before = await podNames();
    const { status } = await readApp(platform, NAMESPACE, NAME);
    const previous = status?.previous?.id;
    const answered = firstAnswerOf(status?.url, previous);
    await annotate(platform, NAMESPACE, NAME, annotations.hold, previous);
    const start = Date.now();
    const took = (await answered) - start;
    process.stdout.write(`rollback: the first answer ${took} ms after kubectl annotate\n`);
    expect(took).toBeLessThan(BACK_MS);
    await waitFor(
      platform,
      WHERE,
      "the held release",
      (app) => app.status?.current?.id === previous,
    );
    expect(await selected()).toBe("stable");
    expect(await podNames()).toEqual(before);

    await annotate(platform, NAMESPACE, NAME, annotations.hold, undefined);
    await until("version 2 again", (app) => app.status?.current?.modelVersion === "2");
    expect(await podNames()).toEqual(before);
  });

  it("whose pods crash gets no request, and is undone", async () => {
    const before = (await readApp(platform, NAMESPACE, NAME)).status?.current?.id;
    await patch(platform, NAMESPACE, NAME, crashesInRollout);
    const app = await waitFor(
      platform,
      WHERE,
      "the undo",
      (one) => condition(one, "Stalled")?.reason === "PodCrashing",
      240_000,
    );
    expect(condition(app, "Ready")).toMatchObject({ status: "True" });
    expect(app.status?.current?.id).toBe(before);
    expect(await selected()).toBe("candidate");
    await patch(platform, NAMESPACE, NAME, { env: null, podTemplate: null });
    await until("the spec as before", ({ status }) => status?.current?.id === before);
  });

  it("moves to the one set that Rolling has when the strategy changes", async () => {
    await patch(platform, NAMESPACE, NAME, { rollout: { strategy: "Rolling" } });
    await until("one set", ({ status }) => status?.current?.modelVersion === "2");
    await oneSet();
    expect(await selected()).toBe("stable");
  });
});

describe("a canary", () => {
  const rollout = (pause: string): object => ({
    strategy: "Canary",
    canary: {
      steps: [
        { weight: 30, pause },
        { weight: 50, pause },
      ],
    },
  });

  it("gets a share, then all requests, with what was found of each step in its journal", async () => {
    load.expect({ "3": { "hard.png": "five", ...known } });
    await publish(platform, NAMESPACE, "3", join(models, "1"));
    await patch(platform, NAMESPACE, NAME, { rollout: rollout("10s"), modelVersion: "3" });
    const app = await until("version 3", ({ status }) => status?.current?.modelVersion === "3");
    const records = await listOwned<V1ControllerRevision>("controllerrevisions");
    const own = records.find(
      ({ metadata }) => metadata?.labels?.["aiapp.dev/release"] === app.status?.current?.id,
    );
    const journal = own?.metadata?.annotations?.["aiapp.dev/journal"] ?? "";
    process.stdout.write(`${journal}\n`);
    expect(journal).toMatch(/step 1 of 2 passed.*step 2 of 2 passed/);
    await oneSet();
    expect(await selected()).toBe("stable");
  });

  it("that is slower is undone, with the measured and the allowed value", async () => {
    const before = (await readApp(platform, NAMESPACE, NAME)).status?.current?.id;
    // Its event loop stands still for half of the time: slow, and no reason to reject a request.
    const script =
      "setInterval(()=>Atomics.wait(new%20Int32Array(new%20SharedArrayBuffer(4)),0,0,150),300).unref()";
    const value = `--import=data:text/javascript,${script}`;
    await patch(platform, NAMESPACE, NAME, {
      rollout: rollout("2m"),
      env: [{ name: "NODE_OPTIONS", value }],
    });
    const app = await waitFor(
      platform,
      WHERE,
      "the undo",
      (one) => condition(one, "Stalled")?.reason === "CanaryWorse",
      240_000,
    );
    process.stdout.write(`${condition(app, "Stalled")?.message}\n`);
    expect(condition(app, "Stalled")?.message).toMatch(/p95 \d+ ms \(allowed \d+ ms\)/);
    expect(condition(app, "Ready")).toMatchObject({ status: "True" });
    expect(app.status?.current?.id).toBe(before);
    await patch(platform, NAMESPACE, NAME, { env: null });
    await until("the spec as before", ({ status }) => status?.current?.id === before);
    await oneSet();
    expect(await selected()).toBe("stable");
  });
});

describe("the traffic", () => {
  it("failed no request and gave no wrong response through all of this", async () => {
    const summary = await load.stop();
    expect(summary.failures).toEqual([]);
    expect(summary.requests).toBeGreaterThan(500);
  });
});
