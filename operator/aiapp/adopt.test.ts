import { describe, expect, it } from "vitest";

import { AIApp } from "../../crds/aiapp/aiapp.ts";
import { annotations } from "../../crds/names.ts";
import { kinds, type KubernetesObject, type V1OwnerReference } from "../kube/types.ts";
import { conditionsOf, deploymentOf, describeActions, World } from "./observed.testing.ts";

/**
 * An AIApp that was deleted with `--cascade=orphan` and created again: the garbage collector has removed the owner of
 * everything, and pods serve on.
 */
function orphaned(): World {
  const world = new World({ replicas: 2 }).poll().converge();
  for (const object of world.objects.values()) setOwners(object, []);
  const { status: _, ...app } = world.app;
  world.app = AIApp.parse({ ...app, metadata: { ...app.metadata, uid: "uid-of-the-new" } });
  return world;
}

function setOwners({ metadata }: KubernetesObject, ownerReferences: V1OwnerReference[]): void {
  Object.assign(metadata ?? {}, { ownerReferences });
}

function annotateAll(world: World, value: string): void {
  for (const { metadata } of world.objects.values())
    Object.assign(metadata ?? {}, {
      annotations: { ...metadata?.annotations, [annotations.adopt]: value },
    });
}

const OWNED = ["serviceaccounts/cats", "services/cats", "deployments/cats"] as const;

function ownersOf(world: World): readonly unknown[] {
  return OWNED.map((key) => world.objects.get(key)?.metadata?.ownerReferences?.[0]?.uid);
}

describe("objects that a deleted AIApp of the same name left behind", () => {
  it("are not touched, and the condition has the command to take them over", () => {
    const world = orphaned();
    const plan = world.reconcile();
    expect(plan.actions).toEqual([]);
    expect(conditionsOf(plan)).toMatchObject({ Stalled: "True NameConflict" });
    expect(plan.status.conditions?.[0]?.message).toContain(
      "kubectl annotate serviceaccount/cats service/cats deployment/cats poddisruptionbudget/cats --namespace shop aiapp.dev/adopt=cats",
    );
  });

  it("belong to the new AIApp once an annotation on them names it, and pods are not replaced", () => {
    const world = orphaned();
    const { template } = deploymentOf(annotated(world)).spec;
    const uids = OWNED.map((key) => world.objects.get(key)?.metadata?.uid);
    world.converge();
    expect(ownersOf(world)).toEqual(OWNED.map(() => "uid-of-the-new"));
    expect(OWNED.map((key) => world.objects.get(key)?.metadata?.uid)).toEqual(uids);
    // Image, model and spec are those of the old release.
    expect(deploymentOf(world).spec.template).toEqual(template);
    expect(conditionsOf(world.plan())).toMatchObject({
      Ready: "True Serving",
      Released: "True Released",
    });
    expect(describeActions(world.reconcile())).toEqual([]);
  });

  it("are left alone by an AIApp of another name", () => {
    const world = orphaned();
    annotateAll(world, "dogs");
    expect(world.reconcile().actions).toEqual([]);
    expect(conditionsOf(world.plan())).toMatchObject({ Stalled: "True NameConflict" });
  });

  it("are taken over before the garbage collector removes them", () => {
    const world = orphaned();
    const { apiVersion, kind } = world.app;
    const owner = { apiVersion, kind, name: "cats", uid: "uid-of-cats", controller: true };
    for (const object of world.objects.values()) setOwners(object, [owner]);
    annotateAll(world, "cats");
    world.converge();
    expect(ownersOf(world)).toEqual(OWNED.map(() => "uid-of-the-new"));
  });

  it("are not taken over while they are being deleted", () => {
    const world = annotated(orphaned());
    Object.assign(world.get(kinds.service)?.metadata ?? {}, {
      deletionTimestamp: "2026-03-01T08:00:00Z",
    });
    expect(world.reconcile().actions).toEqual([]);
  });
});

describe("an object that another one controls", () => {
  it("is not taken over, whatever its annotations say", () => {
    const world = annotated(orphaned());
    const owner = { apiVersion: "example.com/v1", kind: "Site", name: "cats", uid: "uid-of-site" };
    setOwners(world.get(kinds.service) ?? {}, [{ ...owner, controller: true }]);
    const plan = world.reconcile();
    expect(plan.actions).toEqual([]);
    expect(plan.status.conditions?.[0]?.message).toMatch(
      /^a Service named cats already exists .*: rename the AIApp, or delete the Service$/,
    );
  });
});

function annotated(world: World): World {
  annotateAll(world, "cats");
  return world;
}
