import { describe, expect, it } from "vitest";
import { z } from "zod";

import type { AIAppStatus, Condition } from "../../../crds/aiapp/status.ts";
import type { ConditionType } from "../../../crds/conditions.ts";
import { labels } from "../../../crds/names.ts";
import {
  kinds,
  type KubernetesObject,
  type V1ContainerStatus,
  type V1Pod,
} from "../../kube/types.ts";
import { keptAs } from "../../sources/source.ts";
import { invalidStatus, refusedStatus } from "./refused.ts";
import { digestOf, World, type SpecInput } from "../observed.testing.ts";

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
    metadata: {
      name: "cats-1",
      labels: { [labels.release]: release ?? "", [labels.role]: "stable" },
    },
    ...(status !== undefined && { status }),
  };
}

function container(name: string, state: V1ContainerStatus["state"]): V1ContainerStatus {
  const image = "example.azurecr.io/cats:1";
  return { name, image, imageID: "", ready: false, restartCount: 1, ...(state && { state }) };
}

const terminated = (message: string, exitCode = 1): V1ContainerStatus["state"] => ({
  terminated: { exitCode, message },
});

describe("conditions while all goes well", () => {
  it("name what the operator waits for", () => {
    expect(read(new World())).toEqual({
      Ready:
        "False WaitingForSources: waiting for the first poll of the registry and the model store",
      Available: "False MinimumReplicasUnavailable: no pod serves",
      Released:
        "False WaitingForSources: waiting for the first poll of the registry and the model store",
      SourcesReady:
        "Unknown WaitingForSources: waiting for the first poll of the registry and the model store",
      Reconciling:
        "True WaitingForSources: waiting for the first poll of the registry and the model store",
    });
  });

  it("name the release that serves", () => {
    const world = released({ replicas: 2 });
    const id = world.deployedRelease;
    expect(read(world)).toEqual({
      Ready: `True Serving: release ${id} (model version 1) serves`,
      Available: "True MinimumReplicasAvailable: 2 of 2 pods serve",
      Released: `True Released: release ${id} (model version 1) is fully rolled out`,
      SourcesReady: "True Polled: the registry and the model store respond",
      Recoverable:
        "True Recoverable: image and model of the current and the previous release are at their sources",
    });
  });

  it("show how far a rollout is, and that the release before it serves", () => {
    const world = released({ replicas: 2 });
    const before = world.deployedRelease;
    publish(world, "2");
    world.reconcile();
    world.beginRollout();
    const id = world.deployedRelease;
    const progress = `release ${id} (model version 2) is rolling out: 0 of 2 pods are updated, 2 serve`;
    expect(read(world)).toEqual({
      Ready: `True Serving: release ${before} (model version 1) serves`,
      Available: "True MinimumReplicasAvailable: 2 of 2 pods serve",
      Released: `False RollingOut: ${progress}`,
      SourcesReady: "True Polled: the registry and the model store respond",
      Recoverable:
        "True Recoverable: image and model of the current and the previous release are at their sources",
      Reconciling: `True Progressing: ${progress}`,
    });
  });

  it("say that the other source is polled again", () => {
    const world = released();
    world.publish({ version: "2", model: digestOf("model 2") });
    world.poll("model");
    expect(read(world).Reconciling).toBe(
      "True WaitingForSources: the model changed: re-polling the registry before pairing",
    );
  });

  it("say that there are no pods because spec.replicas is 0", () => {
    expect(read(released({ replicas: 0 }))).toMatchObject({
      Ready: "True NoReplicas: spec.replicas is 0",
      Available: "False NoReplicas: spec.replicas is 0",
    });
  });
});

describe("conditions about sources", () => {
  it("name every source that fails, in its own words", () => {
    const world = released();
    world.fail("image", "REGISTRY_UNAVAILABLE", "example.azurecr.io does not answer");
    world.fail("model", "STORAGE_AUTH_FAILED", "the store refuses the key");
    expect(read(world).SourcesReady).toBe(
      "False RegistryUnavailable: example.azurecr.io does not answer; the store refuses the key",
    );
  });

  it("say why nothing was released", () => {
    const world = new World().poll("image");
    world.fail("model", "MODEL_NOT_FOUND", "cats/ holds no version: publish one");
    const text = "ModelNotFound: cats/ holds no version: publish one";
    expect(read(world)).toMatchObject({
      Ready: `False ${text}`,
      Released: `False ${text}`,
      Stalled: `True ${text}`,
    });
  });

  it("are no longer than a condition may be", () => {
    const world = new World();
    world.fail("image", "REGISTRY_UNEXPECTED_RESPONSE", "x".repeat(10_000));
    expect(find("SourcesReady", world.plan().status)?.message).toHaveLength(4096);
  });

  it("do not take back what holds for the same spec, after a restart either", () => {
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

  it("show how a rollout continues that began before the sources failed", () => {
    const world = released({ replicas: 2 });
    publish(world, "2");
    world.reconcile();
    const id = world.deployedRelease;
    world.forget();
    world.fail("image", "REGISTRY_UNAVAILABLE", "example.azurecr.io does not answer");
    expect(read(world).Released).toContain("False RollingOut");
    world.rollOut();
    world.reconcile();
    expect(read(world).Released).toBe(
      `True Released: release ${id} (model version 2) is fully rolled out`,
    );
  });

  it("show that a rollout failed that began before the sources failed", () => {
    const world = released({ replicas: 2 });
    publish(world, "2");
    world.reconcile();
    world.forget();
    world.fail("image", "REGISTRY_UNAVAILABLE", "example.azurecr.io does not answer");
    world.pods = [
      pod(world, { containerStatuses: [container("server", { terminated: { exitCode: 3 } })] }),
    ];
    world.reconcile();
    expect(read(world).Released).toContain("False PodCrashing");
  });

  it("say that the app is suspended, also while sources are polled", () => {
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

  it("say that a version was changed under its name, and what to do", () => {
    const world = released();
    world.publish({ model: digestOf("model 1, changed") });
    world.poll();
    const [then, now] = [digestOf("model 1"), digestOf("model 1, changed")];
    expect(read(world).Released).toBe(
      `False ModelMutated: the files of https://models.blob.core.windows.net/models/cats/1/ changed after the operator released them (${then.slice(0, 19)}… then, ${now.slice(0, 19)}… now): publish the new files as a new version; the running release keeps serving`,
    );
  });
});

describe("conditions about pods that do not become ready", () => {
  it.each([
    {
      what: "an image that cannot be pulled",
      status: {
        containerStatuses: [
          container("server", {
            waiting: { reason: "ImagePullBackOff", message: "manifest unknown" },
          }),
        ],
      },
      text: "ImagePullFailed: pod cats-1 cannot pull example.azurecr.io/cats:1: manifest unknown",
    },
    {
      what: "a container that cannot be created",
      status: {
        containerStatuses: [
          container("server", {
            waiting: { reason: "CreateContainerConfigError", message: 'secret "x" not found' },
          }),
        ],
      },
      text: 'PodCrashing: pod cats-1 cannot start container server: secret "x" not found',
    },
    {
      what: "the reason that the pull container names",
      status: {
        initContainerStatuses: [
          container(
            "model-pull",
            terminated("ModelChecksumMismatch: cats.onnx differs: publish it again"),
          ),
        ],
      },
      text: "ModelChecksumMismatch: cats.onnx differs: publish it again",
    },
    {
      what: "the reason that the model server names",
      status: { containerStatuses: [container("server", terminated("ModelLoadFailed: no input"))] },
      text: "ModelLoadFailed: no input",
    },
    {
      what: "the last lines of a code image that crashes",
      status: {
        containerStatuses: [container("server", terminated("1\n2\n3\n4\n5\nTypeError: x\n"))],
      },
      text: "PodCrashing: container server of pod cats-1 terminated with exit code 1: 2\n3\n4\n5\nTypeError: x",
    },
    {
      what: "the message of a container in CrashLoopBackOff",
      status: {
        containerStatuses: [
          {
            ...container("server", { waiting: { reason: "CrashLoopBackOff" } }),
            lastState: terminated("Error: x") ?? {},
          },
        ],
      },
      text: "PodCrashing: container server of pod cats-1 terminated with exit code 1: Error: x",
    },
    {
      what: "a container that ran out of memory",
      status: {
        containerStatuses: [
          container("server", { terminated: { exitCode: 137, reason: "OOMKilled" } }),
        ],
      },
      text: "PodOutOfMemory: container server of pod cats-1 ran out of memory: raise spec.resources.limits.memory",
    },
  ] satisfies readonly { what: string; status: V1Pod["status"]; text: string }[])(
    "show $what",
    ({ status, text }) => {
      // The first release stalls; a later one leaves the release before it serving.
      const first = new World({ replicas: 2 }).poll();
      first.reconcile();
      first.pods = [pod(first, status)];
      expect(read(first)).toMatchObject({
        Ready: `False ${text}`,
        Released: `False ${text}`,
        Stalled: `True ${text}`,
      });
      const second = rollingOut();
      second.pods = [pod(second, status)];
      // It is undone at once: polling found it, so the spec is served as before.
      const [reason, ...words] = text.split(": ");
      expect(read(second).Released).toMatch(
        new RegExp(`^False ${reason}: release [0-9a-f]{10} .* failed and is not tried again: `),
      );
      expect(read(second).Released).toContain(words.join(": "));
      expect(read(second).Ready).toContain("True Serving");
      expect(read(second).Stalled).toBeUndefined();
    },
  );

  it("show a pull container that ends without a message, which is not held against a release", () => {
    const status = { initContainerStatuses: [container("model-pull", terminated("", 137))] };
    const first = new World({ replicas: 2 }).poll();
    first.reconcile();
    first.pods = [pod(first, status)];
    const text =
      "ModelPullFailed: container model-pull of pod cats-1 terminated with exit code 137";
    expect(read(first)).toMatchObject({ Ready: `False ${text}`, Released: `False ${text}` });
    const second = rollingOut();
    second.pods = [pod(second, status)];
    expect(second.plan().changes).toEqual([]);
    expect(read(second)).toMatchObject({ Released: `False ${text}`, Reconciling: `True ${text}` });
  });

  it("show that no node has room, which may pass", () => {
    const world = new World().poll();
    world.reconcile();
    const unschedulable = {
      type: "PodScheduled",
      status: "False",
      reason: "Unschedulable",
      message: "0/3 nodes are available",
    };
    world.pods = [pod(world, { conditions: [unschedulable] })];
    const text =
      "PodUnschedulable: pod cats-1 cannot be scheduled: 0/3 nodes are available; add nodes or lower spec.resources";
    expect(read(world)).toMatchObject({ Ready: `False ${text}`, Reconciling: `True ${text}` });
    expect(read(world).Stalled).toBeUndefined();
  });

  it("ignore old pods, terminating pods, and pods that recovered", () => {
    const world = rollingOut();
    const crashed = { containerStatuses: [container("server", terminated("Error: old"))] };
    const leaving = pod(world, crashed);
    Object.assign(leaving.metadata ?? {}, { deletionTimestamp: "2026-03-01T08:00:00Z" });
    const recovered = { ...container("server", { running: {} }), ready: true };
    world.pods = [
      pod(world, crashed, "0123456789"),
      leaving,
      pod(world, {
        containerStatuses: [{ ...recovered, lastState: terminated("Error: once") ?? {} }],
      }),
    ];
    expect(read(world).Released).toContain("RollingOut");
  });

  it("ignore an evicted pod, which another one replaces", () => {
    const world = rollingOut();
    const evicted = {
      containerStatuses: [container("server", terminated("", 137))],
      phase: "Failed",
    };
    world.pods = [pod(world, evicted)];
    expect(read(world).Released).toContain("RollingOut");
  });

  it("do not stall while a container runs again for the first time", () => {
    const world = rollingOut();
    const again = {
      ...container("model-pull", { running: {} }),
      restartCount: 1,
      lastState: terminated("StorageUnavailable: the store does not answer") ?? {},
    };
    world.pods = [pod(world, { initContainerStatuses: [again] })];
    expect(read(world)).toMatchObject({
      Reconciling: "True StorageUnavailable: the store does not answer",
    });
    expect(read(world).Stalled).toBeUndefined();
    // The store is to blame, not the release: it waits.
    world.pods = [pod(world, { initContainerStatuses: [{ ...again, restartCount: 2 }] })];
    expect(read(world)).toMatchObject({
      Reconciling: "True StorageUnavailable: the store does not answer",
    });
    expect(world.plan().changes).toEqual([]);
  });

  it("take no unknown reason from a termination message, which any image can write", () => {
    const world = rollingOut();
    const status = { containerStatuses: [container("server", terminated("Rejected: me"))] };
    world.pods = [pod(world, status)];
    expect(read(world).Released).toMatch(
      /^False PodCrashing: .*container server of pod cats-1 terminated with exit code 1: Rejected: me/,
    );
  });
});

describe("conditions about what the cluster rejects", () => {
  const quota = 'pods "cats-1" is forbidden: exceeded quota: q, requested: limits.cpu=1';

  function reject(world: World, message: string): void {
    const status = world.get(kinds.deployment)?.status ?? {};
    Object.assign(status, {
      conditions: [{ type: "ReplicaFailure", status: "True", message }],
      availableReplicas: 0,
      updatedReplicas: 0,
    });
  }

  it("quote the API server on pods of a first release, stall, and clear once the cause is fixed", () => {
    const world = new World().poll();
    world.reconcile();
    world.beginRollout();
    reject(world, quota);
    const text = `PodsRejected: the API server rejects the pods: ${quota}; raise the quota, or lower spec.resources`;
    expect(read(world)).toMatchObject({
      Ready: `False ${text}`,
      Released: `False ${text}`,
      Stalled: `True ${text}`,
    });
    world.rollOut();
    world.reconcile();
    expect(read(world).Ready).toContain("True Serving");
    expect(read(world).Stalled).toBeUndefined();
  });

  it.each([
    ["exceeded quota: q, requested: limits.cpu=1, used: limits.cpu=4", "raise the quota"],
    ["failed quota: q: must specify limits.cpu for: server", "set what the quota asks for"],
    ["minimum cpu usage per Container is 200m, but request is 100m", "within the LimitRange"],
    ['violates PodSecurity "restricted:latest": privileged', "the Pod Security level"],
    [
      'error looking up service account shop/cats: serviceaccount "cats" not found',
      "create the ServiceAccount",
    ],
    ['failed calling webhook "pods.example.com": connection refused', "why the webhook does not"],
    ["something new", "correct what it names"],
  ])("say what to do: %s", (message, remedy) => {
    const world = rollingOut();
    reject(world, `pods "cats-1" is forbidden: ${message}`);
    expect(read(world).Released).toMatch(/^False PodsRejected: the API server rejects the pods: /);
    expect(read(world).Released).toContain(remedy);
  });

  it("are never held against a release", () => {
    const world = rollingOut();
    reject(world, quota);
    expect(world.plan().changes).toEqual([]);
  });

  it("quote the events of a verification that gets no pod; only a change of the spec stalls", () => {
    const world = new World({ verify: {}, modelVersion: "1" }).poll().converge();
    publish(world, "2");
    world.change({ modelVersion: "2" });
    world.reconcile();
    world.rejectedPods =
      'error looking up service account shop/cats: serviceaccount "cats" not found';
    expect(read(world).Released).toContain("create the ServiceAccount");
    expect(read(world).Ready).toContain("True Serving");
    expect(read(world).Stalled).toContain("True PodsRejected");
  });
});

describe("an outage", () => {
  it("is a Warning event, once, and a message that says which release and why", () => {
    const world = released();
    Object.assign(world.get(kinds.deployment)?.status ?? {}, { availableReplicas: 0 });
    world.pods = [pod(world, { containerStatuses: [container("server", terminated("Error: x"))] })];
    const { events } = world.reconcile();
    expect(events).toMatchObject([{ type: "Warning", reason: "PodCrashing" }]);
    expect(read(world).Ready).toMatch(
      /^False PodCrashing: no pod of the current release [0-9a-f]{10} serves: .*Error: x/,
    );
    expect(world.reconcile().events).toEqual([]);
  });
});

describe("a Deployment that a person has paused", () => {
  it("is reported with the command that resumes it, and left paused", () => {
    const world = released({ modelVersion: "1" });
    world.change({ modelVersion: "2" });
    publish(world, "2");
    world.reconcile();
    world.beginRollout();
    Object.assign(world.get(kinds.deployment)?.spec ?? {}, { paused: true });
    expect(read(world)).toMatchObject({
      Released:
        "False RolloutPaused: the Deployment is paused: resume it with kubectl rollout resume deployment/cats",
    });
    expect(read(world).Stalled).toContain("RolloutPaused");
  });

  it("neither stalls nor progresses when polling found the release: the spec is served as before", () => {
    const world = rollingOut();
    Object.assign(world.get(kinds.deployment)?.spec ?? {}, { paused: true });
    expect(read(world)).toMatchObject({
      Released: expect.stringContaining("False RolloutPaused") as unknown,
    });
    expect(read(world).Stalled).toBeUndefined();
    expect(read(world).Reconciling).toBeUndefined();
  });
});

describe("a release that settles", () => {
  function settling(change: SpecInput): World {
    const world = released();
    world.change({ release: { settle: "10m" }, ...change });
    publish(world, "2");
    world.reconcile();
    return world;
  }

  it("is a change in progress when the spec asks for it", () => {
    expect(read(settling({ modelVersion: "2" })).Reconciling).toContain("True Settling");
  });

  it("leaves the app at rest when polling found it", () => {
    const world = settling({});
    expect(read(world).Released).toContain("False Settling");
    expect(read(world).Reconciling).toBeUndefined();
  });
});

describe("conditions about what a user must change", () => {
  it("name the objects that take the names", () => {
    const world = new World().poll();
    world.occupy(kinds.deployment);
    world.occupy(kinds.service);
    expect(read(world).Stalled).toBe(
      "True NameConflict: a Service and Deployment named cats already exists and does not belong to this AIApp: rename the AIApp, or delete the Service and Deployment; to let the AIApp take it over instead: kubectl annotate service/cats deployment/cats --namespace shop aiapp.dev/adopt=cats",
    );
  });

  it("say that the app is suspended", () => {
    const world = new World({ suspend: true }).poll();
    expect(read(world).Released).toBe(
      "False Suspended: spec.suspend is true: set it to false to release",
    );
  });

  it("say that the app is suspended, and what fails meanwhile", () => {
    const world = new World().poll();
    world.reconcile();
    world.beginRollout();
    world.pods = [pod(world, { containerStatuses: [container("server", terminated("Error: x"))] })];
    world.change({ suspend: true });
    expect(read(world).Released).toMatch(/^False Suspended: .*; meanwhile: .*Error: x/);
  });

  it("say where and why the spec does not match the schema", () => {
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
    // The second time it is the same, and so not written again.
    expect(invalidStatus(stored(status), error, NOW + 60_000)).toEqual(status);
    // A status that the operator cannot read is replaced.
    expect(invalidStatus(stored("?"), error, NOW).conditions).toHaveLength(2);
  });

  it("quote what the API server rejects, and still say what serves", () => {
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
  it("is that of its last transition, whatever the message says meanwhile", () => {
    const world = released({ replicas: 2 });
    const then = find("Ready", world.app.status)?.lastTransitionTime;
    world.now += 60_000;
    publish(world, "2");
    const transition = new Date(world.now).toISOString().replace(/\.\d+Z$/, "Z");
    world.reconcile();
    const { status } = world.app;
    expect(find("Ready", status)?.lastTransitionTime).toBe(then);
    expect(find("Released", status)?.lastTransitionTime).toBe(transition);
    world.change({ replicas: 3 });
    world.converge();
    expect(find("Ready", world.app.status)).toMatchObject({
      lastTransitionTime: then,
      observedGeneration: 2,
    });
  });
});

describe("Recoverable", () => {
  it("turns False with a Warning once what a released pod needs is gone from its source", () => {
    const world = released({ modelVersion: "1" });
    const first = world.deployedRelease;
    world.change({ modelVersion: "2" });
    publish(world, "2");
    world.converge();
    world.gone.add("1");
    const { events } = world.reconcile();
    expect(events).toMatchObject([{ type: "Warning", reason: "ModelGone" }]);
    expect(read(world).Recoverable).toContain(`the previous release ${first} needs`);
    expect(read(world).Ready).toContain("True Serving");
    world.gone.clear();
    world.gone.add(digestOf("image 1"));
    expect(read(world).Recoverable).toContain("False ImageGone");
    world.gone.clear();
    expect(read(world).Recoverable).toContain("True Recoverable");
  });

  it("stays True while a copy of the model is kept, and reports that no original is left", () => {
    const world = released({ modelVersion: "1" });
    world.gone.add("1");
    world.kept = { image: keptAs("Kept", "there"), model: keptAs("Copying", "copying 2 files") };
    expect(read(world).Recoverable).toContain("False ModelGone");
    world.kept = { ...world.kept, model: keptAs("Kept", "https://store/models/.aiapp/kept/0") };
    expect(read(world).Recoverable).toContain("True Kept");
    expect(read(world).Recoverable).toContain("the copy at https://store/models/.aiapp/kept/0");
    expect(world.reconcile().events).toEqual([]);
    expect(world.app.status?.current?.kept).toEqual({
      image: { state: "Kept", message: "there" },
      model: { state: "Kept", message: "https://store/models/.aiapp/kept/0" },
    });
  });

  it("reports copies once both were looked for", () => {
    const world = released();
    world.kept = { model: keptAs("Kept", "there") };
    world.reconcile();
    expect(world.app.status?.current?.kept).toBeUndefined();
    world.kept = { image: keptAs("Refused", "may not push"), model: keptAs("Kept", "there") };
    world.reconcile();
    expect(world.app.status?.current?.kept).toMatchObject({
      image: { state: "Refused" },
      model: { state: "Kept" },
    });
  });

  it("is no promise of a copy: an image that is gone counts as gone", () => {
    const world = released();
    world.kept = { image: keptAs("Kept", "tag aiapp-kept-0") };
    world.gone.add(digestOf("image 1"));
    expect(read(world).Recoverable).toContain("False ImageGone");
  });

  it("states what is not kept and why, while all is at its source", () => {
    const world = released();
    world.kept = { image: keptAs("Refused", "may not push"), model: keptAs("Kept", "there") };
    expect(read(world).Recoverable).toContain("True Recoverable");
    expect(read(world).Recoverable).toContain("not kept: may not push");
    expect(read(world).Recoverable).not.toContain("there;");
  });

  it("turns False when a file is lost of which neither manifest nor copy is", () => {
    const world = released();
    world.kept = { model: keptAs("Lost", "model.onnx is gone") };
    expect(read(world).Recoverable).toContain("False ModelGone");
    expect(read(world).Recoverable).toContain("model.onnx is gone");
  });

  it.each([
    ["a login finds no image that pulls models", { isConclusive: true, wasSeen: false }, "False"],
    [
      "the image that pulls models was there before",
      { isConclusive: false, wasSeen: true },
      "False",
    ],
    ["a registry may hide it without a login", { isConclusive: false, wasSeen: false }, "True"],
  ])("when %s (%j): %s", (_, pullImage, status) => {
    const world = released();
    world.pullImage = pullImage;
    const reason = status === "False" ? "PullImageGone" : "Recoverable";
    expect(read(world).Recoverable).toContain(`${status} ${reason}`);
  });
});
