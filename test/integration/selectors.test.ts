import { KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MANAGER } from "../../crds/names.ts";
import { aiapp, digestOf, puller } from "../../operator/aiapp/observed.testing.ts";
import { releaseOf } from "../../operator/aiapp/release/identity.ts";
import { ownedObjects, slotNames, type OwnedObject } from "../../operator/aiapp/resources/owned.ts";
import type { Role } from "../../operator/aiapp/resources/owner.ts";
import { renderTemplate, stampTemplate } from "../../operator/aiapp/resources/template.ts";
import { createKube, type Kube } from "../../operator/kube/client.ts";
import { kinds, type V1Pod } from "../../operator/kube/types.ts";
import { startApiServer, type ApiServer } from "../support/apiserver.ts";

/** Which pods the objects of an app select, asked of a real API server. */

const signal = AbortSignal.timeout(110_000);
const namespace = "default";
const { metadata, spec, ...rest } = aiapp({ replicas: 2 });
const app = { ...rest, spec, metadata: { ...metadata, namespace } };
const release = releaseOf(spec, {
  image: "example.azurecr.io/cats:1",
  imageDigest: digestOf("image 1"),
  modelVersion: "1",
  modelDigest: digestOf("model 1"),
});
const template = renderTemplate(app, release, puller);

let server: ApiServer;
let kube: Kube;

function pod(name: string, role: Role, traffic: boolean): V1Pod {
  const stamped = stampTemplate(app, template, { role, traffic, release: release.id });
  const { labels = {} } = stamped.metadata ?? {};
  const podSpec = { ...stamped.spec, containers: stamped.spec?.containers ?? [] };
  // The API server has no ServiceAccount controller here.
  return {
    metadata: { namespace, name, labels },
    spec: { ...podSpec, serviceAccountName: "default" },
  };
}

beforeAll(async () => {
  server = await startApiServer();
  const config = new KubeConfig();
  config.loadFromFile(server.kubeconfig);
  kube = createKube({ config, requestTimeoutMs: 5000 });
  const memory = { revision: 1, journal: [], request: undefined, stored: undefined };
  const target = { ...release, template, ...memory };
  const set = { record: target, replicas: 2 };
  for (const name of slotNames) {
    const entry = ownedObjects[name] as OwnedObject;
    const object = entry.build({
      app: {
        ...app,
        spec: {
          ...spec,
          autoscaling: { minReplicas: 2, maxReplicas: 4, targetCPUUtilization: 70 },
        },
      },
      arrangement: {
        sets: { stable: set, candidate: set },
        rollsOut: "candidate",
        selects: "both",
        serving: "stable",
        changesAt: undefined,
      },
      verification: { record: target, attempt: 1 },
      givesPlaceTo: undefined,
      puller,
    });
    if (typeof object === "string") throw new Error(`${name} is not built`);
    await kube.apply(entry.kind, object, { fieldManager: MANAGER, force: true }, signal);
  }
  await server
    .kubectl(["create", "serviceaccount", "default", "--namespace", namespace])
    .catch(() => "");
  for (const made of [
    pod("stable", "stable", true),
    pod("candidate", "candidate", false),
    pod("canary", "candidate", true),
    pod("verification", "verification", false),
  ])
    await kube.create(kinds.pod, made, signal);
});
afterAll(() => server.close());

async function selected(selector: Readonly<Record<string, string>> | string): Promise<string[]> {
  const labelSelector =
    typeof selector === "string"
      ? selector
      : Object.entries(selector)
          .map((pair) => pair.join("="))
          .join(",");
  const { items } = await kube.list(kinds.pod, { namespace, labelSelector }, signal);
  return items.map((item) => item.metadata?.name ?? "").toSorted();
}

describe("pods of another role", () => {
  it("are not counted by the Deployment, and so not by its autoscaler", async () => {
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/cats/scale`;
    const scale = JSON.parse(await server.kubectl(["get", "--raw", path])) as {
      status: { selector: string };
    };
    expect(await selected(scale.status.selector)).toEqual(["stable"]);
    const autoscaler = await kube.get(kinds.horizontalPodAutoscaler, namespace, "cats", signal);
    expect(autoscaler?.spec?.scaleTargetRef).toMatchObject({ kind: "Deployment", name: "cats" });
  });

  it("are not protected by the PodDisruptionBudget of the stable pods", async () => {
    const budget = await kube.get(kinds.podDisruptionBudget, namespace, "cats", signal);
    expect(await selected(budget?.spec?.selector?.matchLabels ?? {})).toEqual(["stable"]);
  });

  it("take requests only when their traffic label says so", async () => {
    const service = await kube.get(kinds.service, namespace, "cats", signal);
    expect(await selected(service?.spec?.selector ?? {})).toEqual(["canary", "stable"]);
  });
});

describe("the selector of a Deployment", () => {
  it("cannot be changed: the API server rejects it", async () => {
    const selector = { matchLabels: { "aiapp.dev/role": null } };
    const patch = { spec: { selector } };
    await expect(
      kube.patch(kinds.deployment, namespace, "cats", patch, {}, signal),
    ).rejects.toMatchObject({ code: "KUBE_INVALID" });
  });
});
