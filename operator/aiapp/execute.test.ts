import { beforeEach, describe, expect, it } from "vitest";

import { ManualClock } from "../clock.testing.ts";
import { createFakeKube, type FakeKube } from "../kube/fake/fake.testing.ts";
import { countCalls, type CountedKube } from "../kube/faults.testing.ts";
import { kinds, type V1Secret } from "../kube/types.ts";
import type { Action } from "./action.ts";
import { execute } from "./execute.ts";

const signal = AbortSignal.timeout(60_000);
const resource = kinds.secret;
let api: FakeKube;
let kube: CountedKube;
let polls: unknown[];

beforeEach(() => {
  api = createFakeKube({ clock: new ManualClock(), namespaces: ["shop"] });
  kube = countCalls(api);
  polls = [];
});

function secret(labels: Readonly<Record<string, string>> = {}): V1Secret {
  return { metadata: { namespace: "shop", name: "cats", labels } };
}

function run(...actions: readonly Action[]): Promise<void> {
  const pollSince = (...args: readonly unknown[]): void => void polls.push(args);
  return execute(actions, { kube, poller: { pollSince } }, signal);
}

async function live(): Promise<V1Secret | undefined> {
  return api.get(resource, "shop", "cats", signal);
}

async function recreated(): Promise<{ readonly old: string; readonly present: V1Secret }> {
  const { metadata } = await api.create(resource, secret(), signal);
  const old = metadata?.uid ?? "";
  await api.delete(resource, { namespace: "shop", name: "cats", uid: old }, signal);
  return { old, present: await api.create(resource, secret(), signal) };
}

describe("the actions of a plan", () => {
  it("name the write that failed", async () => {
    await api.create(resource, secret(), signal);
    const failed: unknown[] = [];
    const action: Action = { kind: "create", resource, object: secret() };
    const onFailed = (write: Action): void => void failed.push(write);
    const tools = { kube, poller: { pollSince: () => {} }, onFailed };
    await expect(execute([action], tools, signal)).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
    expect(failed).toEqual([action]);
  });

  it("find a deleted object changed: what was decided on it is decided again", async () => {
    const { metadata } = await api.create(resource, secret(), signal);
    const uid = metadata?.uid ?? "";
    await api.delete(resource, { namespace: "shop", name: "cats", uid }, signal);
    const patch = { metadata: { uid, labels: { a: "1" } } };
    await expect(run({ kind: "patch", resource, object: secret(), patch })).rejects.toMatchObject({
      code: "KUBE_CONFLICT",
    });
  });

  it("are carried out in their order, and end with the first that fails", async () => {
    await api.create(resource, secret(), signal);
    const other = { metadata: { namespace: "shop", name: "dogs" } };
    await expect(
      run(
        { kind: "poll", key: "image", since: 5, urgent: true },
        { kind: "apply", resource, object: secret({ a: "1" }), uid: undefined },
        { kind: "create", resource, object: secret() },
        { kind: "create", resource, object: other },
      ),
    ).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
    expect(polls).toEqual([["image", 5, true]]);
    expect(kube.calls()).toEqual(["apply Secret cats", "create Secret cats"]);
    expect((await live())?.metadata?.labels).toEqual({ a: "1" });
  });

  it("write what an app owns as its tenant, and records as the operator", async () => {
    const tenants: string[] = [];
    const theirs = countCalls(api);
    const record = { metadata: { namespace: "shop", name: "cats-1" }, revision: 1 };
    await execute(
      [
        { kind: "create", resource: kinds.controllerRevision, object: record },
        { kind: "apply", resource, object: secret(), uid: undefined },
      ],
      {
        kube,
        poller: { pollSince: () => {} },
        tenant: (namespace) => {
          tenants.push(namespace);
          return theirs;
        },
      },
      signal,
    );
    expect(kube.calls()).toEqual(["create ControllerRevision cats-1"]);
    expect(theirs.calls()).toEqual(["apply Secret cats"]);
    expect(tenants).toEqual(["shop"]);
  });

  it("report what the API server returned for each write", async () => {
    const seen: unknown[] = [];
    const object = secret();
    await execute(
      [
        { kind: "create", resource, object },
        { kind: "apply", resource, object: secret({ a: "1" }), uid: undefined },
      ],
      {
        kube,
        poller: { pollSince: () => {} },
        onWritten: ({ kind }, result) => seen.push([kind, result?.metadata?.resourceVersion]),
      },
      signal,
    );
    const version = (await live())?.metadata?.resourceVersion;
    expect(seen).toEqual([
      ["create", expect.any(String)],
      ["apply", version],
    ]);
  });

  it("never change another object that has taken the name", async () => {
    const { old, present } = await recreated();
    const gone = { metadata: { namespace: "shop", name: "cats", uid: old } };
    for (const action of [
      { kind: "apply", resource, object: secret({ a: "1" }), uid: old },
      { kind: "delete", resource, object: gone },
      {
        kind: "patch",
        resource,
        object: gone,
        patch: { metadata: { uid: old, labels: { a: "1" } } },
      },
    ] as const)
      await expect(run(action)).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
    expect(await live()).toEqual(present);
  });

  it("do not change a version that they did not read", async () => {
    const made = await api.create(resource, secret(), signal);
    const { uid = "", resourceVersion = "" } = made.metadata ?? {};
    const read = { metadata: { namespace: "shop", name: "cats", uid, resourceVersion } };
    await run({ kind: "apply", resource, object: secret({ a: "1" }), uid, resourceVersion });
    const changed = await live();
    for (const action of [
      { kind: "apply", resource, object: secret({ a: "2" }), uid, resourceVersion },
      { kind: "delete", resource, object: read },
      {
        kind: "patch",
        resource,
        object: read,
        patch: { metadata: { resourceVersion, labels: {} } },
      },
    ] as const)
      await expect(run(action)).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
    expect(await live()).toEqual(changed);
  });

  it("delete what is gone already without an error", async () => {
    const made = await api.create(resource, secret(), signal);
    await run(
      { kind: "delete", resource, object: made },
      { kind: "delete", resource, object: made },
    );
    expect(await live()).toBeUndefined();
  });
});
