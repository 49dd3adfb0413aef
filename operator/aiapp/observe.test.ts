import { beforeEach, describe, expect, it } from "vitest";

import { labels } from "../../crds/names.ts";
import { ManualClock } from "../clock.testing.ts";
import { createFakeKube, type FakeKube } from "../kube/fake/fake.testing.ts";
import { countCalls, type CountedKube } from "../kube/faults.testing.ts";
import { openStaleView, type StaleView } from "../kube/stale-view.testing.ts";
import {
  kinds,
  type KubernetesObject,
  type V1ControllerRevision,
  type V1OwnerReference,
  type V1Service,
} from "../kube/types.ts";
import type { Poller } from "../sources/poller.ts";
import { appKeyOf, OWNED_SELECTOR, ownedKinds, type Cache, type View } from "./cache.ts";
import { noFreezes } from "./freeze-view.ts";
import { noPolicies } from "./policy-view.ts";
import { observe } from "./observe.ts";
import type { Observed } from "./observed.ts";
import { aiapp, digestOf, puller } from "./observed.testing.ts";
import { releaseOf } from "./release/identity.ts";
import { newRevision } from "./release/record.ts";
import { ownerReference } from "./resources/owner.ts";
import { renderTemplate } from "./resources/template.ts";

const signal = AbortSignal.timeout(60_000);
const app = aiapp();
const unknown: View<never> = { get: () => undefined, indexed: () => [], all: () => [] };
let api: FakeKube;
let kube: CountedKube;

beforeEach(() => {
  api = createFakeKube({ clock: new ManualClock(), namespaces: ["shop"] });
  kube = countCalls(api);
});

async function openCache(): Promise<Cache> {
  const views = new Map<string, StaleView<KubernetesObject>>();
  const options = { labelSelector: OWNED_SELECTOR, indexBy: appKeyOf };
  for (const kind of ownedKinds) views.set(kind.plural, await openStaleView(api, kind, options));
  return {
    apps: unknown,
    pods: unknown,
    of: ({ plural }) => (views.get(plural) ?? unknown) as View<never>,
  };
}

async function look(cache: Cache, wanted: unknown[] = []): Promise<Observed> {
  const poller: Poller = {
    subscribe: (...args) => void wanted.push(args),
    get: () => ({
      value: undefined,
      changedAt: undefined,
      checkedAt: undefined,
      nextCheckAt: undefined,
      error: undefined,
    }),
    pollSince: () => {},
    close: async () => {},
  };
  const error = { code: "SECRET_NOT_FOUND", message: "no such Secret", since: 1 } as const;
  const unresolved = async () => ({ error, reference: "reference" });
  const revisions = (key: string): readonly V1ControllerRevision[] =>
    cache.of(kinds.controllerRevision).indexed(key);
  const recorded = async () => ({
    image: await unresolved(),
    model: await unresolved(),
    puller: undefined,
    kept: undefined,
  });
  const resolver = { image: unresolved, model: unresolved, recorded };
  const notifier = { view: () => ({ isDelivered: () => false, failing: [] }) };
  const meter = { of: () => undefined };
  const sources = { poller, resolver, revisions, freezes: noFreezes, policies: noPolicies };
  const applied = { isOutcome: () => false };
  const tools = { kube, cache, clock: new ManualClock(), ...sources, notifier, meter, applied };
  return observe(app, tools, signal);
}

function service(ownerReferences: V1OwnerReference[], isLabelled: boolean): V1Service {
  const own = { [labels.managedBy]: "aiapp-operator", [labels.app]: "cats" };
  const metadata = { namespace: "shop", name: "cats", ownerReferences };
  return {
    metadata: { ...metadata, ...(isLabelled && { labels: own }) },
    spec: { ports: [{ port: 80 }] },
  };
}

describe("what is observed around an app", () => {
  it("is read from the cache; what the cache lacks, from the API server", async () => {
    await api.create(kinds.service, service([ownerReference(app)], true), signal);
    const { owned } = await look(await openCache());
    expect(owned.service).toMatchObject({ state: "ours" });
    expect(owned.deployment).toEqual({ state: "absent" });
    expect(kube.calls()).toEqual(["get ServiceAccount cats", "get Deployment cats"]);
  });

  it("includes objects of others under its names, which no cache holds", async () => {
    await api.create(kinds.service, service([], false), signal);
    const { owned } = await look(await openCache());
    expect(owned.service).toEqual({
      state: "foreign",
      kind: "Service",
      isLeaving: false,
      isAdoptable: true,
    });
  });

  it("distinguishes what a deleted AIApp of the same name left behind", async () => {
    const deleted = { ...ownerReference(app), uid: "uid-of-a-deleted-one" };
    await api.create(kinds.service, service([deleted], true), signal);
    const { owned } = await look(await openCache());
    expect(owned.service).toEqual({
      state: "foreign",
      kind: "Service",
      isLeaving: true,
      isAdoptable: true,
    });
  });

  it("includes the records of this AIApp, and not those of a deleted one of its name", async () => {
    const pair = {
      image: app.spec.image,
      imageDigest: digestOf("image"),
      modelVersion: "1",
      modelDigest: digestOf("model"),
    };
    const release = releaseOf(app.spec, pair);
    const record = {
      ...release,
      template: renderTemplate(app, release, puller),
      revision: 1,
      journal: [],
      request: undefined,
      stored: undefined,
    };
    const revision = newRevision(app, record);
    const { name = "" } = revision.metadata ?? {};
    const left = {
      ...revision,
      metadata: {
        ...revision.metadata,
        name: `${name}-left`,
        ownerReferences: [{ ...ownerReference(app), uid: "uid-of-a-deleted-one" }],
      },
    };
    for (const one of [revision, left]) await api.create(kinds.controllerRevision, one, signal);
    const { records } = await look(await openCache());
    expect(records.map(({ stored }) => stored?.name)).toEqual([name]);
  });

  it("says why a source cannot be polled, and subscribes to none then", async () => {
    const wanted: unknown[] = [];
    const { image } = await look(await openCache(), wanted);
    expect(image).toMatchObject({ key: undefined, error: { code: "SECRET_NOT_FOUND" } });
    expect(wanted).toEqual([["shop/cats", []]]);
  });
});
