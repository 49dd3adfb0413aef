import { describe, expect, it } from "vitest";

import { labels } from "../../../crds/names.ts";
import type { KubernetesObject } from "../../kube/types.ts";
import {
  conditionsOf,
  deploymentOf,
  describeActions,
  digestOf,
  World,
} from "../observed.testing.ts";

const spec = {
  labels: { team: "vision" },
  annotations: { "example.com/runbook": "https://example.com" },
};

function ownedBy(world: World): readonly (readonly [string, KubernetesObject])[] {
  return [...world.objects];
}

describe("spec.labels and spec.annotations", () => {
  it("are on every object that the app owns, and on its pods", () => {
    const world = new World({ ...spec, replicas: 2, verify: {} }).poll();
    world.reconcile();
    expect(world.objects.has("jobs/cats-verify")).toBe(true);
    const job = world.objects.get("jobs/cats-verify");
    world.converge();
    const all = [...ownedBy(world), ["jobs/cats-verify", job ?? {}] as const];
    expect(new Set(all.map(([key]) => key.split("/")[0]))).toEqual(
      new Set([
        "serviceaccounts",
        "services",
        "controllerrevisions",
        "jobs",
        "deployments",
        "poddisruptionbudgets",
      ]),
    );
    for (const [key, { metadata }] of all) {
      expect({ key, ...metadata?.labels }).toMatchObject({ ...spec.labels, [labels.app]: "cats" });
      expect({ key, ...metadata?.annotations }).toMatchObject(spec.annotations);
    }
    expect(deploymentOf(world).spec.template.metadata).toMatchObject(spec);
  });

  it("are in no selector", () => {
    const world = new World({ ...spec, replicas: 2 }).poll().converge();
    const selectors = ownedBy(world).flatMap(([, object]) => {
      const { selector } = Object(Reflect.get(object, "spec"));
      return selector === undefined ? [] : [JSON.stringify(selector)];
    });
    expect(selectors).toHaveLength(3);
    expect(selectors.join("\n")).not.toContain("team");
  });

  it("reach objects at once when they change, and neither make a release nor restart a pod", () => {
    const world = new World(spec).poll().converge();
    const { template } = deploymentOf(world).spec;
    world.change({ labels: { "cost-centre": "7" } });
    expect(describeActions(world.reconcile())).toEqual([
      "apply ServiceAccount",
      "apply Service",
      "apply Deployment",
    ]);
    expect(deploymentOf(world).metadata.labels).toMatchObject({ "cost-centre": "7" });
    expect(deploymentOf(world).metadata.labels).not.toHaveProperty("team");
    expect(deploymentOf(world).spec.template).toEqual(template);
    expect(describeActions(world.reconcile())).toEqual([]);
    expect(world.records).toHaveLength(1);
    expect(conditionsOf(world.plan())).toMatchObject({ Released: "True Released" });
  });

  it("reach pods with the next release", () => {
    const world = new World(spec).poll().converge();
    world.change({ labels: { "cost-centre": "7" } });
    world.publish({ version: "2", model: digestOf("model 2") });
    world.poll().converge();
    const { metadata } = deploymentOf(world).spec.template;
    expect(metadata?.labels).toMatchObject({ "cost-centre": "7" });
    expect(metadata?.labels).not.toHaveProperty("team");
  });

  it("give way to what the spec says of the Service and of the pods", () => {
    const world = new World({
      annotations: { a: "all", b: "all" },
      labels: { c: "all" },
      service: { annotations: { a: "service" } },
      podTemplate: { metadata: { labels: { c: "pods" }, annotations: { b: "pods" } } },
    });
    world.poll().converge();
    expect(world.objects.get("services/cats")?.metadata?.annotations).toMatchObject({
      a: "service",
      b: "all",
    });
    const { metadata } = deploymentOf(world).spec.template;
    expect(metadata).toMatchObject({
      labels: { c: "pods" },
      annotations: { a: "all", b: "pods" },
    });
  });

  it("do not replace what the operator finds its objects by", () => {
    const world = new World({ labels: { [labels.app]: "dogs", [labels.role]: "none" } });
    world.poll().converge();
    expect(deploymentOf(world).metadata.labels).toMatchObject({ [labels.app]: "cats" });
    expect(deploymentOf(world).spec.template.metadata?.labels).toMatchObject({
      [labels.app]: "cats",
      [labels.role]: "stable",
    });
  });
});
