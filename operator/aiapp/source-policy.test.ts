import { describe, expect, it } from "vitest";

import { API_VERSION, POLICY_KIND } from "../../crds/names.ts";
import { kinds, type KubernetesObject } from "../kube/types.ts";
import type { View } from "./cache.ts";
import { aiapp, conditionsOf, digestOf, World, type SpecInput } from "./observed.testing.ts";
import { policyView, type PolicyView } from "./policy-view.ts";

const none: View<KubernetesObject> = { get: () => undefined, indexed: () => [], all: () => [] };

/** Policies by name, and a namespace `shop` with the labels. */
function view(
  policies: Readonly<Record<string, object>>,
  labels: Readonly<Record<string, string>> | null = { team: "shop" },
): PolicyView {
  const objects = Object.entries(policies).map(([name, spec]) => ({
    apiVersion: API_VERSION,
    kind: POLICY_KIND,
    metadata: { name },
    spec,
  }));
  const namespace = { metadata: { name: "shop", labels: labels ?? {} } };
  return policyView(
    { ...none, all: () => objects },
    {
      ...none,
      get: (_, name) => (name === "shop" && labels !== null ? namespace : undefined),
    },
  );
}

function refusal(
  policies: Readonly<Record<string, object>>,
  spec: SpecInput = {},
  labels?: Readonly<Record<string, string>>,
): string | undefined {
  return view(policies, labels).refusal(aiapp(spec));
}

const open = { namespaceSelector: { matchLabels: { team: "shop" } } };

describe("which policies count for a namespace", () => {
  it("none at all: everything is allowed", () => {
    expect(refusal({})).toBeUndefined();
  });

  it("one of other namespaces only: nothing is allowed", () => {
    const policies = { lab: { namespaceSelector: { matchLabels: { team: "lab" } } } };
    expect(refusal(policies)).toMatch(
      /^no AIAppSourcePolicy selects namespace shop, so its AIApps/,
    );
  });

  it("one without lists: everything is allowed", () => {
    expect(refusal({ shop: open })).toBeUndefined();
  });

  it("several: their lists add up, and a policy without a list lifts none", () => {
    const stores = { ...open, stores: ["https://models.blob.core.windows.net"] };
    const policies = { open, stores, images: { images: ["contoso.azurecr.io"] } };
    expect(refusal(policies)).toBe(
      "AIAppSourcePolicy images does not allow the image example.azurecr.io/cats:1 (spec.image), only contoso.azurecr.io: change these fields, or ask an administrator of the cluster to allow them; what serves goes on serving",
    );
    expect(refusal({ ...policies, more: { images: ["example.azurecr.io/cats"] } })).toBeUndefined();
  });

  it("an empty list allows nothing", () => {
    expect(refusal({ shop: { images: [] } })).toMatch(/AIAppSourcePolicy shop .*, only none/);
  });

  it("one that cannot be read: it allows nothing, whatever others have no list for", () => {
    expect(refusal({ broken: { images: "all" }, open })).toMatch(/^AIAppSourcePolicy broken does/);
  });

  it("of a namespace whose labels are not known yet: nothing is allowed", () => {
    const policies = {
      shop: { namespaceSelector: { matchExpressions: [{ key: "a", operator: "DoesNotExist" }] } },
    };
    expect(refusal(policies)).toBeUndefined();
    const unknown = view(policies, null);
    expect(unknown.refusal(aiapp())).toBe("the labels of namespace shop are not known yet");
  });
});

describe("what an AIApp names", () => {
  const job = { job: { image: "evil.example.com/test:1" } };
  it.each<[string, object, SpecInput, string]>([
    [
      "an image of another repository",
      { images: ["example.azurecr.io/dogs"] },
      {},
      "image example.azurecr.io/cats:1 (spec.image)",
    ],
    [
      "a test container",
      { images: ["example.azurecr.io"] },
      { verify: job },
      "image evil.example.com/test:1 (spec.verify.job.image)",
    ],
    [
      "a container of podTemplate",
      { images: ["example.azurecr.io"] },
      { podTemplate: { spec: { containers: [{ name: "server", image: "evil.example.com/x" }] } } },
      "image evil.example.com/x (spec.podTemplate)",
    ],
    [
      "an init container of podTemplate",
      { images: ["example.azurecr.io"] },
      {
        podTemplate: {
          spec: { initContainers: [{ name: "model-pull", image: "evil.example.com/x" }] },
        },
      },
      "image evil.example.com/x (spec.podTemplate)",
    ],
    [
      "an image volume",
      { images: ["example.azurecr.io"] },
      {
        podTemplate: {
          spec: { volumes: [{ name: "v", image: { reference: "evil.example.com/x:1" } }] },
        },
      },
      "image evil.example.com/x:1 (spec.podTemplate)",
    ],
    [
      "an image without registry",
      { images: ["docker.io"] },
      {
        image: "docker.io/library/cats:1",
        podTemplate: { spec: { containers: [{ name: "side", image: "nginx" }] } },
      },
      "image nginx (spec.podTemplate)",
    ],
    [
      "another container of the account",
      { stores: ["https://models.blob.core.windows.net/other"] },
      {},
      "model store https://models.blob.core.windows.net/models/cats (spec.model)",
    ],
    [
      "another model of the container",
      { stores: ["https://models.blob.core.windows.net/models/dogs"] },
      {},
      "model store https://models.blob.core.windows.net/models/cats (spec.model)",
    ],
    [
      "a store that parsers read differently",
      { stores: ["https://evil.com"] },
      { model: { store: "https://evil.com/models/../x", name: "cats" } },
      "model store https://evil.com/models/../x/cats (spec.model)",
    ],
    [
      "a DNS name",
      { hosts: ["*.shop.contoso.com"] },
      { service: { host: "pay.contoso.com" } },
      "DNS name pay.contoso.com (spec.service.host)",
    ],
    [
      "a DNS name by annotation",
      { hosts: ["*.shop.contoso.com"] },
      {
        service: {
          annotations: {
            "external-dns.alpha.kubernetes.io/hostname": "a.shop.contoso.com, pay.contoso.com",
          },
        },
      },
      "DNS name a.shop.contoso.com, pay.contoso.com (spec.service.annotations external-dns.alpha.kubernetes.io/hostname)",
    ],
    [
      "a load balancer for every address",
      { loadBalancerSourceRanges: ["10.0.0.0/8"] },
      {},
      "source range of every address (spec.service.loadBalancerSourceRanges)",
    ],
    [
      "a port of the nodes",
      { loadBalancerSourceRanges: ["10.0.0.0/8"] },
      { service: { type: "NodePort" } },
      "source range of every address (spec.service.loadBalancerSourceRanges)",
    ],
    [
      "a range outside",
      { loadBalancerSourceRanges: ["10.0.0.0/8"] },
      { service: { loadBalancerSourceRanges: ["10.1.0.0/16", "11.0.0.0/8"] } },
      "source range 11.0.0.0/8 (spec.service.loadBalancerSourceRanges)",
    ],
    [
      "a range by annotation",
      { loadBalancerSourceRanges: ["10.0.0.0/8"] },
      {
        service: {
          loadBalancerSourceRanges: ["10.1.0.0/16"],
          annotations: { "service.beta.kubernetes.io/azure-allowed-ip-ranges": "0.0.0.0/0" },
        },
      },
      "source range 0.0.0.0/0 (spec.service.annotations service.beta.kubernetes.io/azure-allowed-ip-ranges)",
    ],
    [
      "the ServiceAccount of the app's name",
      { serviceAccountNames: ["scoring"] },
      {},
      "ServiceAccount cats (spec.serviceAccountName)",
    ],
    [
      "a ServiceAccount",
      { serviceAccountNames: ["scoring"] },
      { serviceAccountName: "admin" },
      "ServiceAccount admin (spec.serviceAccountName)",
    ],
    [
      "a ServiceAccount in podTemplate",
      { serviceAccountNames: ["scoring"] },
      {
        serviceAccountName: "scoring",
        podTemplate: { spec: { serviceAccountName: null, serviceAccount: "admin" } },
      },
      "ServiceAccount admin (spec.podTemplate)",
    ],
    [
      "the ServiceAccount that is left when podTemplate removes it",
      { serviceAccountNames: ["scoring"] },
      { serviceAccountName: "scoring", podTemplate: { spec: { serviceAccountName: null } } },
      "ServiceAccount default (spec.podTemplate)",
    ],
    [
      "a short interval",
      { minInterval: "5m" },
      {},
      "interval 1m (spec.interval), only 5m and longer",
    ],
  ])("is refused: %s", (_, allowed, spec, expected) => {
    const message = refusal({ shop: allowed }, spec);
    expect(message).toMatch(/^AIAppSourcePolicy shop does not allow the /);
    expect(message).toContain(expected);
  });

  it("is allowed when each of it is within a list", () => {
    const allowed = {
      images: ["example.azurecr.io/cats", "mcr.microsoft.com"],
      stores: ["https://models.blob.core.windows.net/models/cats"],
      hosts: ["*.shop.contoso.com"],
      loadBalancerSourceRanges: ["10.0.0.0/8"],
      serviceAccountNames: ["scoring"],
      minInterval: "30s",
    };
    const spec: SpecInput = {
      serviceAccountName: "scoring",
      service: { host: "cats.shop.contoso.com", loadBalancerSourceRanges: ["10.2.0.0/16"] },
      verify: { job: { image: "mcr.microsoft.com/test:1" } },
      podTemplate: { spec: { containers: [{ name: "side", image: "mcr.microsoft.com/side:1" }] } },
    };
    expect(refusal({ shop: allowed }, spec)).toBeUndefined();
    const inside = { service: { type: "ClusterIP" }, serviceAccountName: "scoring" } as const;
    expect(refusal({ shop: allowed }, inside)).toBeUndefined();
  });

  it("is refused in a message of bounded length", () => {
    const containers = Array.from({ length: 500 }, (_, n) => ({ name: `c${n}`, image: `${"x".repeat(900)}.example.com/${n}` })); // prettier-ignore
    const images = Array.from({ length: 128 }, (_, n) => `${n}.azurecr.io`);
    const message = refusal({ shop: { images } }, { podTemplate: { spec: { containers } } }) ?? "";
    expect(message).toMatch(/; and 496 more: change these fields/);
    expect(message.length).toBeLessThan(4096);
  });
});

describe("an app that a policy refuses", () => {
  const refusalText = "AIAppSourcePolicy shop does not allow the image";

  it("has a condition that says so, and gets neither release nor Service", () => {
    const world = new World().poll();
    world.refusal = refusalText;
    const plan = world.reconcile();
    expect(plan.actions.flatMap((a) => ("resource" in a ? [a.resource.kind] : [a.kind]))).toEqual([
      "ServiceAccount",
    ]);
    expect(conditionsOf(plan)).toEqual({
      Ready: "False NotAllowedByPolicy",
      Available: "False MinimumReplicasUnavailable",
      Released: "False NotAllowedByPolicy",
      SourcesReady: "False NotAllowedByPolicy",
      Stalled: "True NotAllowedByPolicy",
    });
    const sources = plan.status.conditions?.find(({ type }) => type === "SourcesReady");
    expect(sources?.message).toBe(refusalText);
  });

  it("goes on serving what it serves, and is released again once it is allowed", () => {
    const world = new World({ replicas: 2 }).poll().converge();
    const before = structuredClone([...world.objects]);
    world.change({ image: "evil.example.com/cats:1", service: { host: "pay.contoso.com" } });
    world.refusal = refusalText;
    const plan = world.reconcile();
    expect(plan.actions).toEqual([]);
    expect([...world.objects]).toEqual(before);
    expect(conditionsOf(plan)).toMatchObject({
      Ready: "True Serving",
      Released: "False NotAllowedByPolicy",
      SourcesReady: "False NotAllowedByPolicy",
      Stalled: "True NotAllowedByPolicy",
    });
    world.refusal = undefined;
    world.poll().converge();
    expect(world.get(kinds.service)?.metadata?.annotations).toMatchObject({
      "external-dns.alpha.kubernetes.io/hostname": "pay.contoso.com",
    });
  });

  it("keeps a release that was found before from beginning; one that has begun is finished", () => {
    const world = new World({ verify: {} }).poll().converge();
    const first = world.deployedRelease;
    world.publish({ version: "2", model: digestOf("model 2") });
    world.poll().reconcile();
    const { id: second, journal } = world.record(({ modelVersion }) => modelVersion === "2");
    expect(journal.at(-1)?.phase).toBe("Verifying");
    world.refusal = refusalText;
    world.verify().reconcile();
    expect(world.deployedRelease).toBe(first);
    expect(world.app.status?.candidate).toMatchObject({ id: second, phase: "Scheduled" });
    world.refusal = undefined;
    world.poll().reconcile();
    expect(world.deployedRelease).toBe(second);
    world.refusal = refusalText;
    world.converge();
    expect(conditionsOf(world.plan())).toMatchObject({ Ready: "True Serving" });
    expect(world.app.status?.current?.id).toBe(second);
  });

  it("can be held at what ran before", () => {
    const world = new World().poll().converge();
    const first = world.deployedRelease;
    world.publish({ version: "2", model: digestOf("model 2") });
    world.poll().converge();
    world.refusal = refusalText;
    world.annotate("aiapp.dev/hold", first).converge();
    expect(world.deployedRelease).toBe(first);
  });
});
