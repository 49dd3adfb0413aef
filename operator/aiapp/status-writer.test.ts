import { setImmediate } from "node:timers/promises";

import { beforeEach, describe, expect, it } from "vitest";

import type { AIAppStatus } from "../../crds/aiapp/status.ts";
import { ManualClock } from "../clock.testing.ts";
import { createFakeKube, type FakeKube } from "../kube/fake/fake.testing.ts";
import { openStaleView, type StaleView } from "../kube/stale-view.testing.ts";
import type { KubernetesObject } from "../kube/types.ts";
import { aiapp } from "./observed.testing.ts";
import { aiappKind, StatusWriter } from "./status-writer.ts";

const signal = AbortSignal.timeout(60_000);
const KEY = "shop/cats";
let api: FakeKube;
let apps: StaleView<KubernetesObject>;
let writer: StatusWriter;

async function apply(labels: Readonly<Record<string, string>> = {}): Promise<void> {
  const { apiVersion, kind, spec } = aiapp();
  const object = { apiVersion, kind, metadata: { namespace: "shop", name: "cats", labels }, spec };
  const options = { fieldManager: "kubectl", force: true };
  await api.apply<KubernetesObject>(
    aiappKind,
    JSON.parse(JSON.stringify(object)) as KubernetesObject,
    options,
    signal,
  );
  await setImmediate();
}

function latest(): KubernetesObject {
  const found = writer.latest(KEY);
  if (found === undefined) throw new Error("there is no AIApp");
  return found;
}

async function write(url: string): Promise<void> {
  const status: AIAppStatus = { observedGeneration: 1, url };
  await writer.write(KEY, latest(), status, signal);
  await setImmediate();
}

function urlOf(object: KubernetesObject): unknown {
  return Reflect.get(Object(Reflect.get(object, "status")), "url");
}

beforeEach(async () => {
  api = createFakeKube({ clock: new ManualClock(), namespaces: ["shop"] });
  await apply();
  apps = await openStaleView(api, aiappKind);
  const none = { get: () => undefined, indexed: () => [], all: () => [] };
  writer = new StatusWriter(api, { apps, pods: none, of: () => none });
});

describe("the writer of a status", () => {
  it("reads back what it wrote, until the cache shows it", async () => {
    await write("http://one");
    expect(urlOf(apps.get("shop", "cats") ?? {})).toBeUndefined();
    expect(urlOf(latest())).toBe("http://one");
    apps.deliver();
    expect(latest()).toBe(apps.get("shop", "cats"));
  });

  it("reads the cache again once another actor has changed the app", async () => {
    await write("http://one");
    await apply({ team: "b" });
    apps.deliver();
    expect(latest().metadata?.labels).toEqual({ team: "b" });
    expect(urlOf(latest())).toBe("http://one");
  });

  it("writes nothing to another AIApp of the same name", async () => {
    const old = latest();
    const { uid = "" } = old.metadata ?? {};
    await api.delete(aiappKind, { namespace: "shop", name: "cats", uid }, signal);
    await apply();
    const status: AIAppStatus = { observedGeneration: 1 };
    await expect(writer.write(KEY, old, status, signal)).rejects.toMatchObject({
      code: "KUBE_CONFLICT",
    });
  });

  it("forgets what it wrote of an app that is gone", async () => {
    await write("http://one");
    writer.forget(KEY);
    expect(urlOf(latest())).toBeUndefined();
  });
});
