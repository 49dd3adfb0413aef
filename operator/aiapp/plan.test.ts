import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { annotations, labels } from "../../crds/names.ts";
import { kinds, type V1Deployment } from "../kube/types.ts";
import type { Journal } from "../../crds/journal.ts";
import { AppliedObjects } from "./applied-objects.ts";
import { canonical } from "./canonical.ts";
import {
  conditionsOf,
  deploymentOf,
  describeActions,
  digestOf,
  puller,
  releasedAtOf,
  World,
  type SpecInput,
} from "./observed.testing.ts";

/** A world whose first release is fully rolled out. */
function released(spec: SpecInput = {}): World {
  return new World(spec).poll().converge();
}

function publishVersion(world: World, version: string): void {
  world.publish({ version, model: digestOf(`model ${version}`) });
}

function publishImage(world: World, name: string): void {
  world.publish({ image: digestOf(name) });
}

function publishTag(world: World, tag: string): void {
  world.publish({ image: digestOf(`image ${tag}`), tag });
}

/** All that the API server keeps, to compare whether anything was written. */
function written(world: World): string {
  return canonical([...world.objects]);
}

describe("the first pair", () => {
  it("is waited for: without it nothing runs, and nothing is broken", () => {
    const world = new World();
    const plan = world.reconcile();
    expect(describeActions(plan)).toEqual(["apply ServiceAccount", "apply Service"]);
    expect(conditionsOf(plan)).toMatchObject({
      Ready: "False WaitingForSources",
      SourcesReady: "Unknown WaitingForSources",
      Reconciling: "True WaitingForSources",
    });
  });

  it("is recorded before anything runs it", () => {
    const plan = new World().poll().reconcile();
    expect(describeActions(plan)).toEqual([
      "create ControllerRevision",
      "apply ServiceAccount",
      "apply Service",
      "apply Deployment",
    ]);
  });

  it("runs pinned by digest, under the id of its record", () => {
    const world = new World().poll();
    const { status } = world.reconcile();
    const [record] = world.records;
    expect(record).toMatchObject({
      imageDigest: digestOf("image 1"),
      modelVersion: "1",
      modelDigest: digestOf("model 1"),
      revision: 1,
      journal: [{ phase: "RollingOut" }],
    });
    const { template } = deploymentOf(world).spec;
    expect(template.metadata?.labels?.[labels.release]).toBe(record?.id);
    expect(template.spec?.containers[0]?.image).toBe(
      `example.azurecr.io/cats@${digestOf("image 1")}`,
    );
    expect(status.candidate).toMatchObject({ id: record?.id, phase: "RollingOut" });
    expect(status.current).toBeUndefined();
  });

  it("is marked as released once every pod is of it and serves", () => {
    const world = new World().poll();
    world.reconcile();
    world.beginRollout();
    expect(describeActions(world.reconcile())).toEqual([]);
    world.rollOut();
    const plan = world.reconcile();
    expect(describeActions(plan)).toEqual(["patch ControllerRevision"]);
    expect(world.records.map(releasedAtOf)).toEqual(["2026-03-01T08:00:02.303Z"]);
    expect(plan.status.current).toMatchObject({ phase: "Released" });
    expect(plan.status.candidate).toBeUndefined();
  });

  it("does not count a rollout that the Deployment controller has not observed yet", () => {
    const world = released({ replicas: 2 });
    publishVersion(world, "2");
    world.poll().reconcile();
    // The status still speaks of the old template, of which every pod serves.
    const plan = world.reconcile();
    expect(describeActions(plan)).toEqual([]);
    expect(conditionsOf(plan)).toMatchObject({
      Ready: "True Serving",
      Released: "False RollingOut",
    });
    expect(plan.status.current?.modelVersion).toBe("1");
  });

  it("changes only the version of the Deployment that the operator read", () => {
    const world = released();
    Object.assign(deploymentOf(world).metadata, { resourceVersion: "7" });
    publishVersion(world, "2");
    const { actions } = world.poll().reconcile();
    const { uid } = deploymentOf(world).metadata;
    expect(actions.at(-1)).toMatchObject({ kind: "apply", uid, resourceVersion: "7" });
  });

  it("leaves nothing to do once it is fully rolled out", () => {
    const world = released();
    const plan = world.reconcile();
    expect(plan.actions).toEqual([]);
    expect(plan.events).toEqual([]);
    expect(conditionsOf(plan)).toEqual({
      Ready: "True Serving",
      Available: "True MinimumReplicasAvailable",
      Released: "True Released",
      SourcesReady: "True Polled",
      Recoverable: "True Recoverable",
    });
  });

  it("reports the times of checks only together with another change", () => {
    const world = released();
    const { status } = world.reconcile();
    world.now += 3_600_000;
    world.poll();
    expect(world.reconcile().status).toEqual(status);
    world.change({ interval: "5m" });
    const later = world.reconcile().status;
    expect(later.sources?.model?.lastCheckedAt).not.toBe(status.sources?.model?.lastCheckedAt);
  });

  it("reports each change of phase once", () => {
    const world = new World().poll();
    const reports = [world.reconcile(), world.reconcile()];
    world.rollOut();
    reports.push(world.reconcile(), world.reconcile());
    expect(reports.map(({ events }) => events.map(({ reason }) => reason))).toEqual([
      ["RollingOut"],
      [],
      ["Released"],
      [],
    ]);
  });
});

describe("a half that changes", () => {
  it.each([
    { changed: "model", other: "image" },
    { changed: "image", other: "model" },
  ] as const)(
    "makes the operator poll the other half before it applies anything ($changed)",
    (half) => {
      const world = released();
      const before = written(world);
      if (half.changed === "model") publishVersion(world, "2");
      else publishImage(world, "image 2");
      world.poll(half.changed);
      const plan = world.plan();
      expect(describeActions(plan)).toEqual([`poll ${half.other}`]);
      expect(conditionsOf(plan)).toMatchObject({
        Ready: "True Serving",
        Released: "True Released",
      });
      world.reconcile();
      expect(written(world)).toBe(before);
    },
  );

  it("is released together with what the other shows then", () => {
    const world = released();
    const [first] = world.records;
    publishImage(world, "image 2");
    publishVersion(world, "2");
    world.poll("model").reconcile();
    const plan = world.reconcile();
    // The image is new as well, so the model is polled once more.
    expect(describeActions(plan)).toEqual(["poll model"]);
    expect(describeActions(world.reconcile())).toEqual([
      "create ControllerRevision",
      "apply Deployment",
    ]);
    const second = world.records.find(({ id }) => id !== first?.id);
    expect(second).toMatchObject({ imageDigest: digestOf("image 2"), modelVersion: "2" });
    expect(world.deployedRelease).toBe(second?.id);
    expect(world.records).toHaveLength(2);
  });

  it("leaves the old release current until the new one is fully rolled out", () => {
    const world = released();
    const [first] = world.records;
    publishVersion(world, "2");
    world.poll().reconcile();
    world.beginRollout();
    const { status } = world.reconcile();
    expect(status).toMatchObject({ current: { id: first?.id }, candidate: { modelVersion: "2" } });
    world.converge();
    expect(world.app.status).toMatchObject({
      current: { modelVersion: "2" },
      previous: { id: first?.id },
    });
    expect(world.app.status?.candidate).toBeUndefined();
  });
});

describe("a version that was released before", () => {
  it("becomes current again, under the id that it had", () => {
    const world = released();
    const [first] = world.records;
    publishVersion(world, "2");
    world.poll().converge();
    world.change({ modelVersion: "1" });
    publishVersion(world, "1");
    world.poll();
    const { status } = world.reconcile();
    // Until it is fully rolled out, what runs is what was released last.
    expect(status).toMatchObject({ current: { modelVersion: "2" }, candidate: { id: first?.id } });
    world.converge();
    expect(world.deployedRelease).toBe(first?.id);
    expect(world.app.status).toMatchObject({
      current: { id: first?.id },
      previous: { modelVersion: "2" },
    });
    expect(world.records.map(({ revision }) => String(revision)).toSorted()).toEqual(["2", "3"]);
  });

  it("never stopped being current when the newer one was not out yet", () => {
    const world = released();
    const [first] = world.records;
    const releasedAt = first && releasedAtOf(first);
    publishVersion(world, "2");
    world.poll().reconcile();
    world.beginRollout();
    publishVersion(world, "1");
    world.poll().converge();
    const again = world.records.find(({ modelVersion }) => modelVersion === "1");
    expect(again && releasedAtOf(again)).toBe(releasedAt);
    expect(world.app.status?.current).toMatchObject({ modelVersion: "1", since: releasedAt });
    expect(world.app.status?.history).toMatchObject([
      { modelVersion: "2", phase: "Superseded" },
      { modelVersion: "1", phase: "Released" },
    ]);
  });
});

describe("another name for what serves", () => {
  it("is no release, and is reported, also after a restart", () => {
    const world = released({ modelVersion: "1" });
    const before = canonical(deploymentOf(world));
    world.publish({ tag: "stable" });
    world.change({ image: "example.azurecr.io/cats:stable" });
    world.poll().converge();
    expect(canonical(deploymentOf(world))).toBe(before);
    expect(world.records).toHaveLength(1);
    expect(conditionsOf(world.reconcile())).toMatchObject({ Released: "True Released" });
    world.forget();
    expect(world.reconcile().status.current).toMatchObject({ imageTag: "stable" });
  });
});

describe("sources that fail", () => {
  it("change conditions only", () => {
    const world = released();
    const before = written(world);
    world.fail("image", "REGISTRY_UNAVAILABLE", "example.azurecr.io does not answer");
    const plan = world.reconcile();
    expect(plan.actions).toEqual([]);
    expect(written(world)).toBe(before);
    expect(conditionsOf(plan)).toEqual({
      Ready: "True Serving",
      Available: "True MinimumReplicasAvailable",
      Released: "True Released",
      SourcesReady: "False RegistryUnavailable",
      Recoverable: "True Recoverable",
    });
    expect(plan.status.sources?.image?.lastError).toBe("example.azurecr.io does not answer");
  });

  it("hold back a half that changed: the pair is not known", () => {
    const world = released();
    const before = written(world);
    world.fail("image", "REGISTRY_UNAVAILABLE", "example.azurecr.io does not answer");
    publishVersion(world, "2");
    world.poll("model");
    for (let round = 0; round < 3; round += 1) world.reconcile();
    expect(written(world)).toBe(before);
    world.poll("image").converge();
    expect(world.app.status?.current?.modelVersion).toBe("2");
  });

  it("keep nothing else from being repaired", () => {
    const world = released();
    const running = world.deployedRelease;
    world.forget();
    world.fail("image", "REGISTRY_AUTH_FAILED", "the registry refuses the identity");
    world.change({ replicas: 3 });
    world.objects.delete("services/cats");
    const plan = world.reconcile();
    expect(describeActions(plan)).toEqual([
      "apply Service",
      "apply Deployment",
      "apply PodDisruptionBudget",
    ]);
    expect(deploymentOf(world).spec.replicas).toBe(3);
    expect(world.deployedRelease).toBe(running);
  });

  it("bring what serves back when its Deployment is lost", () => {
    const world = released();
    const running = world.deployedRelease;
    world.forget();
    world.objects.delete("deployments/cats");
    world.converge();
    expect(world.deployedRelease).toBe(running);
  });

  it.each([
    { code: "IMAGE_NOT_FOUND", condition: { Stalled: "True ImageNotFound" } },
    { code: "REGISTRY_THROTTLED", condition: { Reconciling: "True RegistryThrottled" } },
  ] as const)("stall an app that serves nothing only if waiting does not help ($code)", (row) => {
    const world = new World().poll("model");
    world.fail("image", row.code, "no");
    const conditions = conditionsOf(world.plan());
    expect(conditions).toMatchObject(row.condition);
    expect("Stalled" in conditions).not.toBe("Reconciling" in conditions);
  });
});

describe("a version folder that was changed after its release", () => {
  function mutated(): World {
    const world = released();
    world.publish({ model: digestOf("model 1, changed") });
    return world.poll();
  }

  it("is never released", () => {
    const world = mutated();
    const before = written(world);
    publishImage(world, "image 2");
    world.poll();
    const plan = world.reconcile();
    expect(plan.actions).toEqual([]);
    expect(written(world)).toBe(before);
    expect(conditionsOf(plan)).toMatchObject({
      Ready: "True Serving",
      Released: "False ModelMutated",
    });
    expect(conditionsOf(plan)["Stalled"]).toBeUndefined();
  });

  it("is not in the way of the next version", () => {
    const world = mutated();
    world.reconcile();
    publishVersion(world, "2");
    world.poll().converge();
    expect(world.app.status?.current?.modelVersion).toBe("2");
  });

  it("is released when it is put back as it was", () => {
    const world = mutated();
    world.reconcile();
    world.publish({ model: digestOf("model 1") });
    world.poll();
    expect(conditionsOf(world.reconcile())).toMatchObject({ Released: "True Released" });
  });
});

describe("the newest version, when it is deleted at its source", () => {
  /** Released under a selector, and gone: the next look finds the one before. */
  function withdrawn(spec: SpecInput): World {
    const world = new World(spec);
    publishVersion(world, "3");
    world.poll().converge();
    publishVersion(world, "2");
    return world.poll();
  }

  it.each(["latest", ">=1"])(
    "is not gone back from under %s: no user asked for it",
    (modelVersion) => {
      const world = withdrawn({ modelVersion });
      const before = written(world);
      const plan = world.reconcile();
      expect(written(world)).toBe(before);
      expect(conditionsOf(plan)).toMatchObject({
        Ready: "True Serving",
        Released: "False DowngradeRefused",
      });
      expect(plan.status.conditions?.find(({ type }) => type === "Released")?.message).toMatch(
        /cats\/3, which is released, is not found any more.*name 2 in spec\.modelVersion to go back/,
      );
    },
  );

  it.each(["2", "<3"])("is gone back from when the spec says %s", (modelVersion) => {
    const world = withdrawn({ modelVersion: "latest" });
    world.reconcile();
    world.change({ modelVersion });
    world.poll().converge();
    expect(world.app.status?.current?.modelVersion).toBe("2");
  });

  it("is left behind by a newer one", () => {
    const world = withdrawn({ modelVersion: "latest" });
    world.reconcile();
    publishVersion(world, "4");
    world.poll().converge();
    expect(world.app.status?.current?.modelVersion).toBe("4");
  });

  it("is gone back from while it was never released", () => {
    const world = released({ modelVersion: "latest" });
    publishVersion(world, "3");
    world.poll().reconcile();
    world.beginRollout();
    publishVersion(world, "1");
    world.poll().converge();
    expect(world.app.status?.current?.modelVersion).toBe("1");
  });

  it("is not gone back from either when it is a tag that imagePolicy had chosen", () => {
    const world = new World({
      image: "example.azurecr.io/cats",
      imagePolicy: { semver: ">=1" },
      modelVersion: "1",
    });
    publishTag(world, "1.5.0");
    world.poll().converge();
    expect(world.app.status?.sources?.image?.seen).toBe("1.5.0");
    expect(world.app.status?.current?.image).toBe("example.azurecr.io/cats:1.5.0");
    publishTag(world, "1.4.0");
    expect(conditionsOf(world.poll().reconcile())).toMatchObject({
      Ready: "True Serving",
      Released: "False DowngradeRefused",
    });
    world.change({ image: "example.azurecr.io/cats:1.4.0", imagePolicy: undefined });
    world.poll().converge();
    expect(world.app.status?.current?.image).toBe("example.azurecr.io/cats:1.4.0");
  });

  it("is judged by the name that it had last: the same image may have had others", () => {
    const world = new World({ imagePolicy: { semver: ">=1" }, modelVersion: "1" });
    for (const [tag, image] of [
      ["1.5.0", "good"],
      ["1.6.0", "bad"],
      ["1.7.0", "good"],
    ] as const) {
      world.publish({ tag, image: digestOf(image) });
      world.poll().converge();
    }
    expect(world.app.status?.current).toMatchObject({ imageTag: "1.7.0" });
    world.publish({ tag: "1.6.0", image: digestOf("bad") });
    expect(conditionsOf(world.poll().reconcile())).toMatchObject({
      Released: "False DowngradeRefused",
    });
    expect(world.app.status?.current).toMatchObject({ imageDigest: digestOf("good") });
  });

  it("does not count when what is left is the same under an older name", () => {
    const world = new World({ imagePolicy: { semver: ">=1" }, modelVersion: "1" });
    world.publish({ tag: "1.5.0", image: digestOf("good") });
    world.poll().converge();
    world.publish({ tag: "1.4.0", image: digestOf("good") });
    world.poll().converge();
    expect(conditionsOf(world.reconcile())).toMatchObject({ Released: "True Released" });
    expect(world.app.status?.current).toMatchObject({ imageTag: "1.4.0" });
  });
});

describe("an object of another owner under a name that is needed", () => {
  it.each([
    { kind: kinds.deployment, spec: {} },
    { kind: kinds.service, spec: {} },
    { kind: kinds.serviceAccount, spec: {} },
    { kind: kinds.podDisruptionBudget, spec: { replicas: 2 } },
    { kind: kinds.horizontalPodAutoscaler, spec: { autoscaling: { maxReplicas: 3 } } },
  ])("keeps the operator from writing anything ($kind.kind)", ({ kind, spec }) => {
    const world = new World(spec).poll();
    world.occupy(kind);
    const before = written(world);
    const plan = world.reconcile();
    expect(plan.actions).toEqual([]);
    expect(written(world)).toBe(before);
    expect(conditionsOf(plan)).toMatchObject({
      Ready: "False NameConflict",
      Released: "False NameConflict",
      Stalled: "True NameConflict",
    });
    expect(plan.status.conditions?.[0]?.message).toContain(`a ${kind.kind} named cats`);
  });

  it("is waited for when it is that of an AIApp of the same name that was deleted", () => {
    const world = new World().poll();
    const { apiVersion, kind } = world.app;
    const owner = { apiVersion, kind, name: "cats", uid: "uid-of-the-old", controller: true };
    world.occupy(kinds.deployment, [owner]);
    const plan = world.reconcile();
    expect(plan.actions).toEqual([]);
    expect(conditionsOf(plan)).toMatchObject({ Reconciling: "True NameConflict" });
    expect(conditionsOf(plan)["Stalled"]).toBeUndefined();
    world.objects.clear();
    world.converge();
    expect(conditionsOf(world.reconcile())).toMatchObject({ Released: "True Released" });
  });

  it("is ignored where the spec names another", () => {
    const world = new World({ serviceAccountName: "theirs" }).poll();
    world.occupy(kinds.serviceAccount);
    expect(conditionsOf(world.reconcile())["Stalled"]).toBeUndefined();
    expect(world.get(kinds.serviceAccount)?.metadata?.uid).toBe("uid-of-theirs");
    expect(deploymentOf(world).spec.template.spec?.serviceAccountName).toBe("theirs");
  });

  it("is not touched when it comes between reading and writing", () => {
    const world = released();
    publishVersion(world, "2");
    world.poll();
    world.onWrite = (action) => {
      if (action.resource === kinds.deployment) world.occupy(kinds.deployment);
    };
    expect(() => world.reconcile()).toThrow("another object");
    expect(world.deployedRelease).toBeUndefined();
  });
});

describe("suspend", () => {
  it("holds back a first release", () => {
    const world = new World({ suspend: true }).poll();
    const plan = world.reconcile();
    expect(plan.actions).toEqual([]);
    expect(conditionsOf(plan)).toMatchObject({ Released: "False Suspended" });
    expect(conditionsOf(plan)["Reconciling"]).toBeUndefined();
  });

  it("comes to rest, and reports no candidate", () => {
    const world = new World({ suspend: true }).poll();
    world.reconcile();
    const { status } = world.app;
    world.now += 1000;
    const plan = world.reconcile();
    expect(plan.status).toEqual(status);
    expect(plan.status.candidate).toBeUndefined();
    expect(plan.events).toEqual([]);
  });

  it("stops all writing, not the looking, until it ends", () => {
    const world = released();
    world.change({ suspend: true, replicas: 2 });
    publishVersion(world, "2");
    world.poll("model");
    const before = written(world);
    expect(describeActions(world.reconcile())).toEqual(["poll image"]);
    const plan = world.reconcile();
    expect(plan.actions).toEqual([]);
    expect(written(world)).toBe(before);
    expect(conditionsOf(plan)).toMatchObject({
      Ready: "True Serving",
      Released: "False Suspended",
    });
    world.change({ suspend: false });
    world.converge();
    expect(world.app.status?.current?.modelVersion).toBe("2");
    expect(deploymentOf(world).spec.replicas).toBe(2);
  });
});

describe("the number of pods", () => {
  it("comes with a PodDisruptionBudget where there are several, and only there", () => {
    const world = released({ replicas: 1 });
    expect(world.get(kinds.podDisruptionBudget)).toBeUndefined();
    world.change({ replicas: 2 });
    world.converge();
    expect(world.get(kinds.podDisruptionBudget)?.spec).toMatchObject({ maxUnavailable: 1 });
    world.change({ replicas: 1 });
    expect(describeActions(world.reconcile())).toContain("delete PodDisruptionBudget");
    world.converge();
    expect(world.get(kinds.podDisruptionBudget)).toBeUndefined();
  });

  it("is put back when another actor changes it", () => {
    const world = released({ replicas: 2 });
    world.scale(5);
    expect(describeActions(world.reconcile())).toEqual(["apply Deployment"]);
    expect(deploymentOf(world).spec.replicas).toBe(2);
  });

  it("is the autoscaler's, once a new Deployment has begun with its least", () => {
    const world = new World({ autoscaling: { minReplicas: 2, maxReplicas: 9 } }).poll();
    world.reconcile();
    expect(deploymentOf(world).spec.replicas).toBe(2);
    expect(world.get(kinds.horizontalPodAutoscaler)?.spec).toMatchObject({
      minReplicas: 2,
      maxReplicas: 9,
      scaleTargetRef: { kind: "Deployment", name: "cats" },
    });
    world.converge();
    world.scale(7);
    expect(world.reconcile().actions).toEqual([]);
    expect(deploymentOf(world).spec.replicas).toBe(7);
    // A new release does not set it either.
    publishVersion(world, "2");
    world.poll().converge();
    expect(deploymentOf(world).spec.replicas).toBe(7);
  });

  it("is handed over to an autoscaler without a dip, and taken back", () => {
    const world = released({ replicas: 4 });
    const seen: unknown[] = [];
    world.onWrite = () => void seen.push(deploymentOf(world).spec.replicas);
    world.change({ replicas: undefined, autoscaling: { minReplicas: 1, maxReplicas: 9 } });
    world.converge();
    expect(seen.length).toBeGreaterThan(0);
    expect(new Set(seen)).toEqual(new Set([4]));
    expect(deploymentOf(world).spec.replicas).toBe(4);
    world.scale(6);
    world.change({ replicas: 3, autoscaling: undefined });
    world.converge();
    expect(deploymentOf(world).spec.replicas).toBe(3);
    expect(world.get(kinds.horizontalPodAutoscaler)).toBeUndefined();
  });

  it("may be zero: then the release is fully rolled out, and says so", () => {
    const world = released({ replicas: 0 });
    expect(conditionsOf(world.plan())).toEqual({
      Ready: "True NoReplicas",
      Available: "False NoReplicas",
      Released: "True Released",
      SourcesReady: "True Polled",
      Recoverable: "True Recoverable",
    });
  });
});

/** The server of the pods that serve, and their release. */
function serverOf(world: World) {
  const { template } = deploymentOf(world).spec;
  return { server: template.spec?.containers[0], release: world.deployedRelease };
}

describe("a port for gRPC", () => {
  it("is a release of its own, and the Service has it at once: pods without it get no connections there", () => {
    const world = released();
    const before = serverOf(world);
    world.change({ service: { grpcPort: 9000 } });
    expect(describeActions(world.reconcile())).toEqual([
      "create ControllerRevision",
      "apply Service",
      "apply Deployment",
    ]);
    const after = serverOf(world.converge());
    expect(world.get(kinds.service)?.spec?.ports).toMatchObject([
      { port: 80, targetPort: "http" },
      { port: 9000, targetPort: "grpc" },
    ]);
    expect(after.server?.ports).toMatchObject([
      { name: "http" },
      { name: "grpc", containerPort: 9000 },
    ]);
    expect(after.release).not.toBe(before.release);
    expect(world.plan().actions).toEqual([]);
  });

  it("moves to another port of the Service without a release", () => {
    const world = released({ service: { grpcPort: 9000 } });
    const before = serverOf(world);
    world.change({ service: { grpcPort: 50_051 } });
    expect(describeActions(world.reconcile())).toEqual(["apply Service"]);
    expect(world.get(kinds.service)?.spec?.ports?.[1]).toMatchObject({
      name: "grpc",
      port: 50_051,
    });
    expect(serverOf(world)).toEqual(before);
    expect(world.plan().actions).toEqual([]);
  });

  it.each(["Rolling", "BlueGreen", "Canary"] as const)(
    "is on the Service and on the pods of each release of a rollout (%s)",
    (strategy) => {
      const steps = [{ weight: 50, pause: "1m" }];
      const canary = strategy === "Canary" ? { canary: { steps } } : {};
      const rollout = { strategy, ...canary };
      const world = released({ rollout, replicas: 2, service: { grpcPort: 9000 } });
      publishVersion(world, "2");
      world.poll().reconcile();
      expect(world.get(kinds.service)?.spec?.ports).toHaveLength(2);
      const sets = strategy === "Rolling" ? ["cats"] : ["cats", "cats-candidate"];
      const ports = sets.map((name) => {
        const { template } = world.get(kinds.deployment, name)?.spec ?? {};
        return template?.spec?.containers[0]?.ports?.[1];
      });
      const grpc = { name: "grpc", containerPort: 9000, protocol: "TCP" };
      expect(ports).toEqual(sets.map(() => grpc));
      world.converge();
      expect(world.get(kinds.service)?.spec?.ports).toHaveLength(2);
    },
  );
});

describe("what other actors do to owned objects", () => {
  it("is undone where it contradicts what was applied", () => {
    const world = released();
    const container = deploymentOf(world).spec.template.spec?.containers[0];
    Object.assign(container ?? {}, { image: "evil.example/cats:1" });
    expect(describeActions(world.reconcile())).toEqual(["apply Deployment"]);
    expect(deploymentOf(world).spec.template.spec?.containers[0]?.image).toContain(
      digestOf("image 1"),
    );
    expect(world.plan().actions).toEqual([]);
  });

  it("is left alone where the operator applied nothing", () => {
    const world = released();
    const deployment = deploymentOf(world);
    Object.assign(deployment.spec, { minReadySeconds: 5 });
    expect(world.plan().actions).toEqual([]);
  });

  it("is undone where a number in a text was changed", () => {
    const world = released();
    const env = deploymentOf(world).spec.template.spec?.containers[0]?.env;
    Object.assign(env?.find(({ name }) => name === "PORT") ?? {}, { value: "9090" });
    expect(describeActions(world.reconcile())).toEqual(["apply Deployment"]);
  });

  it("is left alone where the API server writes a quantity in another unit", () => {
    const world = released({ resources: { requests: { cpu: "0.5" } } });
    const container = deploymentOf(world).spec.template.spec?.containers[0];
    Object.assign(container?.resources?.requests ?? {}, { cpu: "500m" });
    expect(world.plan().actions).toEqual([]);
  });

  it("limits who reaches the load balancer to the ranges of the spec, and takes that back with it", () => {
    const loadBalancerSourceRanges = ["203.0.113.0/24", "2001:db8::/32"];
    const world = released({ service: { loadBalancerSourceRanges } });
    expect(world.get(kinds.service)?.spec).toMatchObject({ loadBalancerSourceRanges });
    world.change({ service: {} });
    world.converge();
    expect(world.get(kinds.service)?.spec).not.toHaveProperty("loadBalancerSourceRanges");
  });

  it("does not keep a port of ours from being taken out again", () => {
    const world = released({ service: { grpcPort: 9000 } });
    world.change({ service: {} });
    expect(describeActions(world.reconcile())).toContain("apply Service");
    expect(world.get(kinds.service)?.spec?.ports).toMatchObject([{ name: "http" }]);
    const { server } = serverOf(world.converge());
    expect(server?.ports).toMatchObject([{ name: "http" }]);
  });

  it("does not keep a field of ours from being taken out again", () => {
    const world = released({ service: { annotations: { "example.com/team": "cats" } } });
    world.change({ service: {} });
    expect(describeActions(world.reconcile())).toEqual(["apply Service"]);
    expect(world.get(kinds.service)?.metadata?.annotations).not.toHaveProperty("example.com/team");
  });
});

describe("what others add to the pods of the Deployment", () => {
  function withDebug(): World {
    const world = released();
    const { spec } = deploymentOf(world).spec.template;
    spec?.containers[0]?.env?.push({ name: "DEBUG", value: "1" });
    return world;
  }

  it("is reported once, and not written away", () => {
    const world = withDebug();
    const plan = world.reconcile();
    expect(plan.actions).toEqual([]);
    expect(plan.status.unmanagedEntries).toEqual(["containers[server].env[DEBUG]"]);
    expect(plan.events).toMatchObject([{ type: "Warning", reason: "UnmanagedEntries" }]);
    expect(plan.events[0]?.message).toContain("containers[server].env[DEBUG]");
    const next = world.reconcile();
    expect(next.events).toEqual([]);
    expect(next.status).toEqual(plan.status);
  });

  it("is reported as before while a release is rolling out, without another event", () => {
    const world = withDebug();
    world.reconcile();
    publishVersion(world, "2");
    world.poll();
    const plan = world.reconcile();
    expect(plan.changes).not.toEqual([]);
    expect(plan.status.unmanagedEntries).toEqual(["containers[server].env[DEBUG]"]);
    expect(plan.events.map(({ reason }) => reason)).not.toContain("UnmanagedEntries");
  });

  it("is reported no more once it is gone, and again when something else is added", () => {
    const world = withDebug();
    world.reconcile();
    const pod = deploymentOf(world).spec.template.spec;
    pod?.containers[0]?.env?.pop();
    expect(world.reconcile().status.unmanagedEntries).toBeUndefined();
    pod?.containers.push({ name: "proxy", image: "proxy:1" });
    expect(world.reconcile().events).toMatchObject([
      { reason: "UnmanagedEntries", message: expect.stringContaining("containers[proxy]") },
    ]);
  });

  it("is no more than status may hold", () => {
    const world = released();
    const { spec } = deploymentOf(world).spec.template;
    for (let at = 0; at < 30; at += 1) spec?.containers[0]?.env?.push({ name: `V${at}` });
    expect(world.reconcile().status.unmanagedEntries).toHaveLength(20);
  });
});

describe("what a policy of the cluster changes in what the operator applies", () => {
  function withPolicy(): World {
    const world = new World();
    world.policy = (key, spec) => {
      if (key.startsWith("deployments/")) spec["progressDeadlineSeconds"] = 77;
    };
    world.poll().converge();
    return world;
  }
  const field = "Deployment cats: spec.progressDeadlineSeconds";

  it("is reported, and not written again", () => {
    const world = withPolicy();
    const plan = world.reconcile();
    expect(plan.actions).toEqual([]);
    expect(plan.status.overriddenFields).toEqual([field]);
    expect(conditionsOf(plan)["Ready"]).toBe("True Serving");
  });

  it("is reported in one event", () => {
    const world = withPolicy();
    const { status } = world.app;
    if (status === undefined) throw new Error("there is no status");
    delete status.overriddenFields;
    expect(world.reconcile().events).toMatchObject([
      { type: "Warning", reason: "FieldsOverridden", message: expect.stringContaining(field) },
    ]);
    expect(world.reconcile().events).toEqual([]);
  });

  it("is distinguished from what a person changes, which is put back", () => {
    const world = released();
    deploymentOf(world).spec.progressDeadlineSeconds = 77;
    const plan = world.reconcile();
    expect(describeActions(plan)).toEqual(["apply Deployment"]);
    expect(plan.status.overriddenFields).toBeUndefined();
    expect(deploymentOf(world).spec.progressDeadlineSeconds).not.toBe(77);
  });

  it("is still reported while the objects are about to be written", () => {
    const world = withPolicy();
    world.reconcile();
    // A new process remembers no write.
    world.applied = new AppliedObjects();
    const plan = world.reconcile();
    expect(describeActions(plan)).toEqual(["apply Deployment"]);
    expect(plan.status.overriddenFields).toEqual([field]);
    expect(plan.events).toEqual([]);
    expect(world.reconcile().actions).toEqual([]);
  });

  it("is reported no more once the policy is gone and the next release has been applied", () => {
    const world = withPolicy();
    world.policy = () => {};
    publishVersion(world, "2");
    world.poll().converge();
    expect(world.reconcile().status.overriddenFields).toBeUndefined();
  });
});

describe("an upgrade of the operator", () => {
  const upgraded = { ...puller, image: "example.azurecr.io/operator:2", insecureHosts: ["a:1"] };

  it("is no new release", () => {
    const world = released();
    world.puller = upgraded;
    expect(world.plan().actions).toEqual([]);
    const other = new World();
    other.puller = upgraded;
    other.poll().converge();
    expect(other.deployedRelease).toBe(world.deployedRelease);
  });

  it("counts for the releases after it", () => {
    const world = released();
    world.puller = upgraded;
    publishVersion(world, "2");
    world.poll().converge();
    const { template } = deploymentOf(world).spec;
    expect(template.spec?.initContainers?.[0]?.image).toBe(upgraded.image);
  });
});

describe("the history", () => {
  it("keeps as many releases as historyLimit says, the newest ones", () => {
    const world = released({ release: { historyLimit: 3 } });
    for (const version of ["2", "3", "4", "5"]) {
      publishVersion(world, version);
      world.poll().converge();
    }
    expect(world.records.map(({ modelVersion }) => modelVersion).toSorted()).toEqual([
      "3",
      "4",
      "5",
    ]);
    expect(world.app.status?.history?.map(({ modelVersion }) => modelVersion)).toEqual([
      "5",
      "4",
      "3",
    ]);
  });

  it("never forgets what serves, what served before it, or what is to serve", () => {
    const world = released({ release: { historyLimit: 1 } });
    publishVersion(world, "2");
    world.poll().converge();
    // Two more that a change of the spec supersedes before they are rolled out.
    for (const version of ["3", "4"]) {
      world.change({ modelVersion: version });
      publishVersion(world, version);
      world.poll().reconcile();
      world.beginRollout();
    }
    world.reconcile();
    expect(world.records.map(({ modelVersion }) => modelVersion).toSorted()).toEqual([
      "1",
      "2",
      "4",
    ]);
    expect(world.plan().actions).toEqual([]);
  });
});

describe("a request to poll now", () => {
  it("polls both sources and what keeps releases, once per token", () => {
    const world = released();
    world.app.metadata.annotations = { [annotations.requestedAt]: "1" };
    const polls = ["poll image", "poll model", "poll keep image", "poll keep model"];
    expect(describeActions(world.reconcile())).toEqual(polls);
    expect(world.app.status?.lastHandledReconcileAt).toBe("1");
    expect(world.plan().actions).toEqual([]);
    world.app.metadata.annotations = { [annotations.requestedAt]: "2" };
    expect(describeActions(world.reconcile())).toEqual(polls);
  });
});

describe("a podTemplate that is not a PodTemplateSpec", () => {
  it.each([{ containers: { name: "server" } }, { containers: null }, { containers: [{}] }])(
    "is rejected before anything is recorded, until the spec is corrected (%j)",
    (spec) => {
      const world = released({ podTemplate: { spec } });
      expect(world.records).toEqual([]);
      expect(conditionsOf(world.reconcile())).toMatchObject({
        Ready: "False InvalidSpec",
        Released: "False InvalidSpec",
        Stalled: "True InvalidSpec",
      });
      world.change({ podTemplate: undefined });
      world.poll().converge();
      expect(conditionsOf(world.reconcile())).toMatchObject({ Released: "True Released" });
    },
  );
});

describe("what is not watched", () => {
  it("is read again with each interval while an object of another owner has a name of the app", () => {
    const world = new World({ interval: "20s" }).poll();
    world.occupy(kinds.service);
    expect(world.plan().requeueAfterMs).toBe(20_000);
    world.objects.clear();
    expect(world.plan().requeueAfterMs).toBe(600_000);
  });

  it("is read again with each interval while a release is verified", () => {
    const world = new World({ interval: "20s", verify: {} }).poll();
    world.reconcile();
    expect(world.plan().requeueAfterMs).toBe(20_000);
  });
});

describe("a source that cannot be polled, or whose polls fail", () => {
  it("has its Secrets read again with each interval", () => {
    const world = released({ interval: "30s" });
    expect(world.plan().requeueAfterMs).toBe(600_000);
    world.fail("image", "REGISTRY_AUTH_FAILED", "no");
    expect(world.plan().requeueAfterMs).toBe(30_000);
  });
});

describe("a process that ends anywhere", () => {
  type Change = (world: World) => void;

  const specs = fc.record({
    replicas: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
    level: fc.option(fc.constantFrom("1", "2"), { nil: undefined }),
    autoscales: fc.boolean(),
  });
  const changes: fc.Arbitrary<Change> = fc.oneof(
    fc.nat(3).map((image) => (world: World) => {
      publishImage(world, `image ${image}`);
      world.poll("image");
    }),
    fc.nat(3).map((version) => (world: World) => {
      publishVersion(world, String(version));
      world.poll("model");
    }),
    fc.tuple(fc.nat(3), fc.nat(3)).map(([image, version]) => (world: World) => {
      publishImage(world, `image ${image}`);
      publishVersion(world, String(version));
      world.poll();
    }),
    fc.constant((world: World) => {
      world.publish({ model: digestOf(`model ${world.published.version}, changed`) });
      world.poll("model");
    }),
    specs.map(({ replicas, level, autoscales }) => (world: World) => {
      world.change({
        env: level === undefined ? [] : [{ name: "LEVEL", value: level }],
        ...(autoscales
          ? { replicas: undefined, autoscaling: { minReplicas: 2, maxReplicas: 4 } }
          : { replicas, autoscaling: undefined }),
      });
    }),
    fc.constant((world: World) => {
      world.puller = { ...puller, image: "example.azurecr.io/operator:2" };
    }),
    fc.constant((world: World) => void world.objects.delete("deployments/cats")),
    fc.constant((world: World) => void world.objects.delete("services/cats")),
  );
  /** How many actions are done before the process ends, and what has happened when the next one looks. */
  const ends = fc.array(
    fc.record({
      after: fc.nat(6),
      rollsOut: fc.boolean(),
      knows: fc.constantFrom("both", "image", "nothing"),
    }),
    { maxLength: 4 },
  );
  const SPEC: SpecInput = { release: { historyLimit: 2 } };

  /** Fails as soon as a write breaks what always holds. */
  function watched(): World {
    const world = new World(SPEC);
    const ids = new Map<string, string>();
    world.onWrite = (action) => {
      if (action.resource === kinds.deployment) {
        const { spec } = action.object as V1Deployment;
        const deployed = spec?.template?.metadata?.labels?.[labels.release];
        if (deployed !== undefined && !world.records.some(({ id }) => id === deployed))
          throw new Error(`${deployed} has no record`);
      }
      if (action.resource === kinds.controllerRevision && action.kind === "delete") {
        const { name } = action.object.metadata ?? {};
        if (name === `cats-${world.deployedRelease}`) throw new Error(`${name} is deployed`);
      }
    };
    const act = world.reconcile.bind(world);
    world.reconcile = (endsAfter) => {
      const plan = act(endsAfter);
      for (const { id, imageDigest, modelDigest, template } of world.records) {
        const env = template.spec?.containers[0]?.env?.find(({ name }) => name === "LEVEL");
        const pair = `${imageDigest} ${modelDigest} ${env?.value}`;
        if ((ids.get(pair) ?? id) !== id) throw new Error(`${pair} is ${ids.get(pair)} and ${id}`);
        ids.set(pair, id);
      }
      return plan;
    };
    return world;
  }

  /** Ends the process within a reconcile; the next one knows nothing of the sources before it has looked. */
  function end(
    world: World,
    { after, rollsOut, knows }: { after: number; rollsOut: boolean; knows: string },
  ): void {
    world.reconcile(after);
    world.forget();
    if (knows === "image") world.poll("image");
    if (knows === "both") world.poll();
    if (rollsOut) world.rollOut();
  }

  /** The world but for what differs from run to run: times, uids, counts of changes. */
  function atRest(world: World): unknown {
    return {
      objects: [...world.objects]
        .map(([key, { metadata, spec, ...rest }]) => [
          key,
          spec,
          metadata?.labels,
          metadata?.annotations?.[annotations.applied],
          (JSON.parse(metadata?.annotations?.[annotations.journal] ?? "[]") as Journal).some(
            ({ phase }) => phase === "Released",
          ),
          Reflect.get(rest, "revision"),
          Reflect.get(rest, "data"),
        ])
        .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
      conditions: conditionsOf(world.plan()),
    };
  }

  it("comes to the same world as one that never does", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(changes, ends), { minLength: 1, maxLength: 5 }), (story) => {
        const [steady, broken] = [watched().poll(), watched().poll()];
        for (const [change, ends] of story) {
          change(steady);
          change(broken);
          for (const one of ends) end(broken, one);
          steady.poll().converge();
          broken.poll().converge();
          expect(atRest(broken)).toEqual(atRest(steady));
        }
        expect(broken.plan().actions).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it("comes to rest on what was published last, whatever was under way", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(changes, ends), { minLength: 1, maxLength: 8 }), (story) => {
        const world = watched();
        for (const [change, ends] of story) {
          change(world);
          for (const one of ends) end(world, one);
        }
        publishImage(world, "image last");
        publishVersion(world, "last");
        world.poll().converge();
        expect(world.app.status?.current).toMatchObject({
          imageDigest: digestOf("image last"),
          modelVersion: "last",
        });
        expect(world.deployedRelease).toBe(world.app.status?.current?.id);
        expect(world.records.length).toBeLessThanOrEqual(3);
        expect(world.plan().actions).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it("decides nothing by the status: with all of it lost before every reconcile, only times differ", () => {
    /** What is reported, without times: of checks, of conditions, of phases. */
    const report = (world: World): unknown =>
      JSON.parse(
        JSON.stringify(world.reconcile().status, (key, value: unknown) =>
          ["lastCheckedAt", "nextCheckAt", "lastTransitionTime"].includes(key) ? undefined : value,
        ),
      );
    fc.assert(
      fc.property(fc.array(fc.tuple(changes, ends), { minLength: 1, maxLength: 6 }), (story) => {
        const [keeps, loses] = [watched().poll(), watched().poll()];
        loses.losesStatus = true;
        for (const [change, ends] of story) {
          for (const world of [keeps, loses]) {
            change(world);
            for (const one of ends) end(world, one);
          }
          expect(report(loses)).toEqual(report(keeps));
          expect(atRest(loses)).toEqual(atRest(keeps));
        }
      }),
      { numRuns: 100 },
    );
  });
});
