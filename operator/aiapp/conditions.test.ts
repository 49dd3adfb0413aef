import { describe, expect, it } from "vitest";
import { z } from "zod";

import type { AIAppStatus, Condition } from "../../crds/aiapp.ts";
import type { ConditionType } from "../../crds/conditions.ts";
import { labels } from "../../crds/names.ts";
import { kinds, type KubernetesObject, type V1ContainerStatus, type V1Pod } from "../kube/types.ts";
import { invalidStatus, refusedStatus } from "./conditions.ts";
import { digestOf, World, type SpecInput } from "./observed.testing.ts";

const NOW = Date.parse("2026-03-02T08:00:00Z");

function find(type: ConditionType, status: AIAppStatus | undefined): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** `<reason>: <message>` of each condition, as people read them. */
function read(world: World): Partial<Record<ConditionType, string>> {
  const conditions = world.plan().status.conditions ?? [];
  return Object.fromEntries(
    conditions.map(({ type, status, reason, message }) => [
      type,
      `${status} ${reason}: ${message}`,
    ]),
  );
}

function released(spec: SpecInput = {}): World {
  return new World(spec).poll().converge();
}

function publish(world: World, version: string): void {
  world.publish({ version, model: digestOf(`model ${version}`) });
  world.poll();
}

/** A world whose second release is on its way, two pods of the first serving. */
function rollingOut(): World {
  const world = released({ replicas: 2 });
  publish(world, "2");
  world.reconcile();
  world.beginRollout();
  return world;
}

function pod(world: World, status: V1Pod["status"], release = world.deployedRelease): V1Pod {
  return {
    metadata: { name: "cats-1", labels: { [labels.release]: release ?? "" } },
    ...(status !== undefined && { status }),
  };
}

function container(name: string, state: V1ContainerStatus["state"]): V1ContainerStatus {
  const image = "example.azurecr.io/cats:1";
  return { name, image, imageID: "", ready: false, restartCount: 1, ...(state && { state }) };
}

describe("what people read while all goes well", () => {
  it("is what is waited for", () => {
    expect(read(new World())).toEqual({
      Ready: "False WaitingForSources: the registry and the store are being looked at",
      Available: "False MinimumReplicasUnavailable: no pod serves",
      Released: "False WaitingForSources: the registry and the store are being looked at",
      SourcesReady: "Unknown WaitingForSources: the registry and the store are being looked at",
      Reconciling: "True WaitingForSources: the registry and the store are being looked at",
    });
  });

  it("is what serves", () => {
    const world = released({ replicas: 2 });
    const id = world.deployedRelease;
    expect(read(world)).toEqual({
      Ready: `True Serving: release ${id} (model version 1) serves`,
      Available: "True MinimumReplicasAvailable: 2 of 2 pods serve",
      Released: `True Released: release ${id} (model version 1) is out`,
      SourcesReady: "True Polled: the registry and the store answer",
    });
  });

  it("is how far a rollout is, and that the release before it serves", () => {
    const world = released({ replicas: 2 });
    const before = world.deployedRelease;
    publish(world, "2");
    world.reconcile();
    world.beginRollout();
    const id = world.deployedRelease;
    const progress = `release ${id} (model version 2) is rolling out: 0 of 2 pods are new, 2 serve`;
    expect(read(world)).toEqual({
      Ready: `True Serving: release ${before} (model version 1) serves`,
      Available: "True MinimumReplicasAvailable: 2 of 2 pods serve",
      Released: `False RollingOut: ${progress}`,
      SourcesReady: "True Polled: the registry and the store answer",
      Reconciling: `True Progressing: ${progress}`,
    });
  });

  it("is that one half is looked at again", () => {
    const world = released();
    world.publish({ version: "2", model: digestOf("model 2") });
    world.poll("model");
    expect(read(world).Reconciling).toBe(
      "True WaitingForSources: one source has changed, the other is looked at again",
    );
  });

  it("is that nothing runs because nothing is to run", () => {
    expect(read(released({ replicas: 0 }))).toMatchObject({
      Ready: "True NoReplicas: scaled to no pods, as asked",
      Available: "False NoReplicas: spec.replicas is 0",
    });
  });
});

describe("what people read of sources", () => {
  it("is every source that fails, in its own words", () => {
    const world = released();
    world.fail("image", "REGISTRY_UNAVAILABLE", "example.azurecr.io does not answer");
    world.fail("model", "STORAGE_AUTH_FAILED", "the store refuses the key");
    expect(read(world).SourcesReady).toBe(
      "False RegistryUnavailable: example.azurecr.io does not answer; the store refuses the key",
    );
  });

  it("is why nothing was ever released", () => {
    const world = new World().poll("image");
    world.fail("model", "MODEL_NOT_FOUND", "cats/ holds no version: publish one");
    const told = "ModelNotFound: cats/ holds no version: publish one";
    expect(read(world)).toMatchObject({
      Ready: `False ${told}`,
      Released: `False ${told}`,
      Stalled: `True ${told}`,
    });
  });

  it("is not longer than a condition may be", () => {
    const world = new World();
    world.fail("image", "REGISTRY_UNEXPECTED_RESPONSE", "x".repeat(10_000));
    expect(find("SourcesReady", world.plan().status)?.message).toHaveLength(4096);
  });

  it("does not take back what was said of the same spec, after a restart either", () => {
    const world = released();
    const before = read(world).Released;
    world.forget();
    world.fail("image", "REGISTRY_UNAVAILABLE", "example.azurecr.io does not answer");
    expect(read(world).Released).toBe(before);
    world.change({ modelVersion: "7" });
    expect(read(world).Released).toBe(
      "False RegistryUnavailable: example.azurecr.io does not answer",
    );
  });

  it("is how a rollout goes on that began before the sources failed", () => {
    const world = released({ replicas: 2 });
    publish(world, "2");
    world.reconcile();
    const id = world.deployedRelease;
    world.forget();
    world.fail("image", "REGISTRY_UNAVAILABLE", "example.azurecr.io does not answer");
    expect(read(world).Released).toContain("False RollingOut");
    world.pods = [
      pod(world, { containerStatuses: [container("server", { terminated: { exitCode: 3 } })] }),
    ];
    world.reconcile();
    expect(read(world).Released).toContain("False PodCrashing");
    world.pods = [];
    world.rollOut();
    expect(read(world).Released).toBe(`True Released: release ${id} (model version 2) is out`);
  });

  it("is that the app is suspended, also while what is new is looked at", () => {
    const world = released();
    world.change({ suspend: true });
    publish(world, "2");
    world.reconcile();
    const before = read(world).Released;
    expect(before).toContain("False Suspended");
    world.publish({ version: "3", model: digestOf("model 3") });
    world.poll("model");
    expect(read(world).Released).toBe(before);
    world.forget();
    expect(read(world).Released).toBe(before);
  });

  it("is that a version was changed under its name, and what to do", () => {
    const world = released();
    world.publish({ model: digestOf("model 1, changed") });
    world.poll();
    const [then, now] = [digestOf("model 1"), digestOf("model 1, changed")];
    expect(read(world).Released).toBe(
      `False ModelMutated: https://models.blob.core.windows.net/models/cats/1/ was changed after it was released (${then.slice(0, 19)}… then, ${now.slice(0, 19)}… now): publish the new files as a new version; what serves goes on serving`,
    );
  });
});

describe("what people read of pods that do not come up", () => {
  const said = (message: string, exitCode = 1): V1ContainerStatus["state"] => ({
    terminated: { exitCode, message },
  });

  it.each([
    {
      what: "an image that cannot be pulled",
      status: {
        containerStatuses: [
          container("server", { waiting: { reason: "ImagePullBackOff", message: "no such host" } }),
        ],
      },
      told: "ImagePullFailed: pod cats-1 cannot pull example.azurecr.io/cats:1: no such host",
    },
    {
      what: "a container that cannot be made",
      status: {
        containerStatuses: [
          container("server", {
            waiting: { reason: "CreateContainerConfigError", message: 'secret "x" not found' },
          }),
        ],
      },
      told: 'PodCrashing: pod cats-1 cannot start container server: secret "x" not found',
    },
    {
      what: "our own puller, which names the reason",
      status: {
        initContainerStatuses: [
          container(
            "model-pull",
            said("ModelChecksumMismatch: cats.onnx differs: publish it anew"),
          ),
        ],
      },
      told: "ModelChecksumMismatch: cats.onnx differs: publish it anew",
    },
    {
      what: "a puller that ends without a word",
      status: { initContainerStatuses: [container("model-pull", said("", 137))] },
      told: "ModelPullFailed: container model-pull of pod cats-1 ended with code 137",
    },
    {
      what: "our model server, which names the reason",
      status: { containerStatuses: [container("server", said("ModelLoadFailed: no input"))] },
      told: "ModelLoadFailed: no input",
    },
    {
      what: "a code image that crashes: its last lines",
      status: { containerStatuses: [container("server", said("1\n2\n3\n4\n5\nTypeError: x\n"))] },
      told: "PodCrashing: container server of pod cats-1 ended with code 1: 2\n3\n4\n5\nTypeError: x",
    },
    {
      what: "a crash in back-off: what it said before",
      status: {
        containerStatuses: [
          {
            ...container("server", { waiting: { reason: "CrashLoopBackOff" } }),
            lastState: said("Error: x") ?? {},
          },
        ],
      },
      told: "PodCrashing: container server of pod cats-1 ended with code 1: Error: x",
    },
    {
      what: "memory that runs out",
      status: {
        containerStatuses: [
          container("server", { terminated: { exitCode: 137, reason: "OOMKilled" } }),
        ],
      },
      told: "PodOutOfMemory: container server of pod cats-1 ran out of memory: raise spec.resources.limits.memory",
    },
  ] satisfies readonly { what: string; status: V1Pod["status"]; told: string }[])(
    "is $what",
    ({ status, told }) => {
      // The first release stalls; one that has another before it does not stop that from serving.
      const first = new World({ replicas: 2 }).poll();
      first.reconcile();
      first.pods = [pod(first, status)];
      expect(read(first)).toMatchObject({
        Ready: `False ${told}`,
        Released: `False ${told}`,
        Stalled: `True ${told}`,
      });
      const second = rollingOut();
      second.pods = [pod(second, status)];
      expect(read(second)).toMatchObject({ Released: `False ${told}` });
      expect(read(second).Ready).toContain("True Serving");
      expect(read(second).Stalled).toBeUndefined();
      expect(read(second).Reconciling).toBeUndefined();
    },
  );

  it("is that no node has room, which may pass", () => {
    const world = new World().poll();
    world.reconcile();
    const unschedulable = {
      type: "PodScheduled",
      status: "False",
      reason: "Unschedulable",
      message: "0/3 nodes are available",
    };
    world.pods = [pod(world, { conditions: [unschedulable] })];
    const told =
      "PodUnschedulable: pod cats-1 finds no node: 0/3 nodes are available; add nodes or lower spec.resources";
    expect(read(world)).toMatchObject({ Ready: `False ${told}`, Reconciling: `True ${told}` });
    expect(read(world).Stalled).toBeUndefined();
  });

  it("is not the trouble of old pods, of pods that leave, or of a start that went well in the end", () => {
    const world = rollingOut();
    const crashed = { containerStatuses: [container("server", said("Error: old"))] };
    const leaving = pod(world, crashed);
    Object.assign(leaving.metadata ?? {}, { deletionTimestamp: "2026-03-01T08:00:00Z" });
    const recovered = { ...container("server", { running: {} }), ready: true };
    world.pods = [
      pod(world, crashed, "0123456789"),
      leaving,
      pod(world, { containerStatuses: [{ ...recovered, lastState: said("Error: once") ?? {} }] }),
    ];
    expect(read(world).Released).toContain("RollingOut");
  });

  it("is not that of an evicted pod, which another replaces", () => {
    const world = rollingOut();
    const evicted = { containerStatuses: [container("server", said("", 137))], phase: "Failed" };
    world.pods = [pod(world, evicted)];
    expect(read(world).Released).toContain("RollingOut");
  });

  it("may pass while the container runs again for the first time", () => {
    const world = rollingOut();
    const again = {
      ...container("model-pull", { running: {} }),
      restartCount: 1,
      lastState: said("StorageUnavailable: the store does not answer") ?? {},
    };
    world.pods = [pod(world, { initContainerStatuses: [again] })];
    expect(read(world)).toMatchObject({
      Reconciling: "True StorageUnavailable: the store does not answer",
    });
    expect(read(world).Stalled).toBeUndefined();
    world.pods = [pod(world, { initContainerStatuses: [{ ...again, restartCount: 2 }] })];
    expect(read(world).Reconciling).toBeUndefined();
  });

  it("is not a reason that we do not know: anybody may write a termination message", () => {
    const world = rollingOut();
    const status = { containerStatuses: [container("server", said("Rejected: me"))] };
    world.pods = [pod(world, status)];
    expect(read(world).Released).toBe(
      "False PodCrashing: container server of pod cats-1 ended with code 1: Rejected: me",
    );
  });
});

describe("what people read of what they must change", () => {
  it("is whose object is in the way", () => {
    const world = new World().poll();
    world.occupy(kinds.deployment);
    world.occupy(kinds.service);
    expect(read(world).Stalled).toBe(
      "True NameConflict: a Deployment and Service named cats is there already and was not made by this AIApp: rename the AIApp, or delete the Deployment and Service",
    );
  });

  it("is that the app is suspended", () => {
    const world = new World({ suspend: true }).poll();
    expect(read(world).Released).toBe(
      "False Suspended: spec.suspend is true: set it to false to release",
    );
  });

  it("is that the spec does not fit, where and why", () => {
    const error = z
      .object({ spec: z.object({ interval: z.string() }) })
      .safeParse({ spec: {} }).error;
    if (error === undefined) throw new Error("fits");
    const world = released();
    const stored = (status: unknown): KubernetesObject => {
      const object = { metadata: { name: "cats", generation: 3 }, status };
      return object;
    };
    const status = invalidStatus(stored(world.app.status), error, NOW);
    expect(status).toMatchObject({ observedGeneration: 3, current: world.app.status?.current });
    expect(find("Ready", status)).toEqual(find("Ready", world.app.status));
    for (const type of ["Released", "Stalled"] as const)
      expect(find(type, status)).toMatchObject({
        status: type === "Stalled" ? "True" : "False",
        reason: "InvalidSpec",
        message:
          "spec is not valid: spec.interval Invalid input: expected string, received undefined; correct it and apply again",
        lastTransitionTime: "2026-03-02T08:00:00Z",
      });
    // Told again it is the same, and so not written again.
    expect(invalidStatus(stored(status), error, NOW + 60_000)).toEqual(status);
    // A status that is none of ours is no help, and no harm.
    expect(invalidStatus(stored("?"), error, NOW).conditions).toHaveLength(2);
  });

  it("is what the API server refuses; what serves is still said to serve", () => {
    const world = released();
    publish(world, "2");
    const { status } = world.plan();
    const refused = refusedStatus(status, world.app.status, "containers[0].env: too long", NOW);
    expect(find("Ready", refused)).toEqual(find("Ready", status));
    expect(find("Reconciling", refused)).toBeUndefined();
    expect(find("Released", refused)).toMatchObject({
      status: "False",
      reason: "ApplyRefused",
      message: "containers[0].env: too long",
    });
    expect(find("Stalled", refused)).toMatchObject({ status: "True", reason: "ApplyRefused" });
    expect(find("Released", refused)?.lastTransitionTime).toBe("2026-03-02T08:00:00Z");
    const again = refusedStatus(status, refused, "containers[0].env: too long", NOW + 60_000);
    expect(again).toEqual(refused);
  });
});

describe("the time of a condition", () => {
  it("is that of its last turn, whatever else is said meanwhile", () => {
    const world = released({ replicas: 2 });
    const then = find("Ready", world.app.status)?.lastTransitionTime;
    world.now += 60_000;
    publish(world, "2");
    const turned = new Date(world.now).toISOString().replace(/\.\d+Z$/, "Z");
    world.reconcile();
    const { status } = world.app;
    expect(find("Ready", status)?.lastTransitionTime).toBe(then);
    expect(find("Released", status)?.lastTransitionTime).toBe(turned);
    world.change({ replicas: 3 });
    world.converge();
    expect(find("Ready", world.app.status)).toMatchObject({
      lastTransitionTime: then,
      observedGeneration: 2,
    });
  });
});
