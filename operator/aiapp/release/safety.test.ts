import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Phase } from "../../../crds/aiapp/status.ts";
import { annotations } from "../../../crds/names.ts";
import { kinds } from "../../kube/types.ts";
import {
  conditionsOf,
  describeActions,
  digestOf,
  World,
  type SpecInput,
} from "../observed.testing.ts";
import { phaseOf } from "./ledger.ts";
import type { ReleaseRecord } from "./record.ts";

/** Releases that are verified first, failures that are undone, halves, and what people ask by hand. */

function world(spec: SpecInput = {}): World {
  return new World({ verify: {}, ...spec }).poll();
}

/** A world whose first release serves. */
function released(spec: SpecInput = {}): World {
  return world(spec).converge();
}

function publish(on: World, change: { readonly image?: string; readonly version?: string }): World {
  on.publish({
    ...(change.image !== undefined && { image: digestOf(change.image) }),
    ...(change.version !== undefined && {
      version: change.version,
      model: digestOf(`model ${change.version}`),
    }),
  });
  return on.poll();
}

function phases(record: ReleaseRecord): readonly Phase[] {
  return record.journal.map(({ phase }) => phase);
}

function ofVersion(on: World, version: string): ReleaseRecord {
  return on.record(({ modelVersion }) => modelVersion === version);
}

function messageOf(on: World, type = "Released"): string {
  return on.plan().status.conditions?.find((one) => one.type === type)?.message ?? "";
}

describe("a new release", () => {
  it("is verified by a Job before the Deployment is touched", () => {
    const on = released();
    const before = on.deployedRelease;
    publish(on, { version: "2" });
    expect(describeActions(on.reconcile())).toEqual(["create ControllerRevision", "create Job"]);
    expect(on.deployedRelease).toBe(before);
    expect(conditionsOf(on.plan())).toMatchObject({
      Ready: "True Serving",
      Released: "False Verifying",
      Reconciling: "True Verifying",
    });
    on.verify();
    expect(describeActions(on.reconcile())).toEqual([
      "patch ControllerRevision",
      "delete Job",
      "apply Deployment",
    ]);
    on.converge();
    expect(phases(ofVersion(on, "2"))).toEqual(["Verifying", "RollingOut", "Released"]);
    expect(on.get(kinds.job, "cats-verify")).toBeUndefined();
  });

  it("is verified also when it is the first one", () => {
    const on = world();
    on.reconcile();
    expect(on.deployedRelease).toBeUndefined();
    on.judge = () => "VerificationFailed: result[0]: expected 1, got 2";
    on.converge();
    expect(on.deployedRelease).toBeUndefined();
    expect(conditionsOf(on.plan())).toMatchObject({
      Ready: "False VerificationFailed",
      Released: "False VerificationFailed",
      Stalled: "True VerificationFailed",
    });
    publish(on, { version: "2" });
    on.judge = () => undefined;
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("2");
  });

  it("that fails its verification never reaches the Deployment, and is not tried again", () => {
    const on = released();
    const before = on.deployedRelease;
    on.judge = () => "VerificationFailed: samples/1.json: result[0]: expected 1, got 2";
    publish(on, { version: "2" }).converge();
    expect(on.deployedRelease).toBe(before);
    expect(on.app.status?.quarantined).toMatchObject([
      { id: ofVersion(on, "2").id, reason: "VerificationFailed" },
    ]);
    // Polling found it: the spec is served as before.
    expect(conditionsOf(on.plan())).toEqual({
      Ready: "True Serving",
      Available: "True MinimumReplicasAvailable",
      Released: "False VerificationFailed",
      SourcesReady: "True Polled",
      Recoverable: "True Recoverable",
    });
    expect(messageOf(on)).toContain("result[0]: expected 1, got 2; model version 2 is to blame");
    on.judge = () => undefined;
    on.forget();
    on.poll().converge();
    expect(on.deployedRelease).toBe(before);
  });

  it("that a change of the spec asks for stalls when it fails; what serves goes on", () => {
    const on = released({ modelVersion: "1" });
    on.judge = () => "ModelLoadFailed: no input";
    on.change({ modelVersion: "2" });
    publish(on, { version: "2" }).converge();
    expect(conditionsOf(on.plan())).toMatchObject({
      Ready: "True Serving",
      Released: "False ModelLoadFailed",
      Stalled: "True ModelLoadFailed",
    });
    on.change({ modelVersion: "1" });
    publish(on, { version: "1" }).converge();
    expect(conditionsOf(on.plan())["Stalled"]).toBeUndefined();
    expect(conditionsOf(on.plan())).toMatchObject({ Released: "True Released" });
  });

  it("is not verified again when it was released before", () => {
    const on = released({ modelVersion: "1" });
    on.change({ modelVersion: "2" });
    publish(on, { version: "2" }).converge();
    on.change({ modelVersion: "1" });
    publish(on, { version: "1" });
    expect(describeActions(on.reconcile())).toEqual([
      "patch ControllerRevision",
      "apply Deployment",
    ]);
  });

  it("is rolled out unverified when the spec says so", () => {
    const on = released({ verify: { enabled: false } });
    publish(on, { version: "2" });
    expect(describeActions(on.reconcile())).toEqual([
      "create ControllerRevision",
      "apply Deployment",
    ]);
  });

  it("is verified again after a fault of the infrastructure, later each time, and never quarantined", () => {
    const on = released();
    on.judge = () => "StorageUnavailable: the store does not answer";
    publish(on, { version: "2" });
    on.reconcile();
    const waits: number[] = [];
    for (let attempt = 0; attempt < 4; attempt += 1) {
      on.verify();
      const { requeueAfterMs } = on.reconcile();
      waits.push(requeueAfterMs);
      on.now += requeueAfterMs;
      on.reconcile();
      on.reconcile();
    }
    expect(phases(ofVersion(on, "2"))).toEqual(Array.from({ length: 5 }, () => "Verifying"));
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    expect(waits.at(-1)).toBeGreaterThan(40_000);
    on.judge = () => undefined;
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("2");
  });

  it("waits for the verdict while the cache of Jobs is ahead of the cache of pods", () => {
    const on = released();
    on.judge = () => "VerificationFailed: result[0]: expected 1, got 2";
    publish(on, { version: "2" });
    on.reconcile();
    on.verify();
    const ended = on.pods;
    on.pods = ended.map((pod) => ({ ...pod, status: { phase: "Running" } }));
    expect(on.reconcile().changes).toEqual([]);
    on.pods = ended;
    expect(on.reconcile().changes).toMatchObject([{ phase: "Failed" }]);
    expect(messageOf(on)).toContain("expected 1, got 2");
  });

  it("waits for a node without failing, and gives way to something newer meanwhile", () => {
    const on = released();
    publish(on, { version: "2" });
    on.reconcile();
    const { id } = ofVersion(on, "2");
    on.pods = [
      {
        metadata: {
          name: "cats-verify-1",
          labels: { "aiapp.dev/release": id, "aiapp.dev/role": "verification" },
        },
        status: {
          conditions: [
            {
              type: "PodScheduled",
              status: "False",
              reason: "Unschedulable",
              message: "0/3 nodes",
            },
          ],
        },
      },
    ];
    on.now += 24 * 3_600_000;
    expect(on.reconcile().changes).toEqual([]);
    expect(messageOf(on)).toContain("cannot be scheduled: 0/3 nodes");
    publish(on, { version: "3" }).reconcile();
    expect(phases(ofVersion(on, "2"))).toEqual(["Verifying", "Superseded"]);
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("3");
  });

  it("that is under way finishes when polling finds another, which comes next", () => {
    const on = released();
    publish(on, { version: "2" });
    on.reconcile();
    publish(on, { version: "3" });
    expect(on.reconcile().changes).toEqual([]);
    on.converge();
    expect(phases(ofVersion(on, "2"))).toEqual(["Verifying", "RollingOut", "Released"]);
    expect(on.app.status?.current?.modelVersion).toBe("3");
  });

  it("gives way at once when it is withdrawn, or when the spec changes", () => {
    const on = released({ modelVersion: "1" });
    on.change({ modelVersion: "2" });
    publish(on, { version: "2" });
    on.reconcile();
    on.change({ modelVersion: "1" });
    publish(on, { version: "1" });
    on.reconcile();
    expect(phases(ofVersion(on, "2"))).toEqual(["Verifying", "Superseded"]);
    on.reconcile();
    expect(on.get(kinds.job, "cats-verify")).toBeUndefined();
  });
});

describe("a rollout that fails", () => {
  it("is undone to the stable release, and not tried again", () => {
    const on = released({ replicas: 2 });
    const before = on.deployedRelease;
    publish(on, { version: "2" });
    on.reconcile();
    on.verify().reconcile();
    on.beginRollout();
    on.crash();
    expect(describeActions(on.reconcile())).toEqual([
      "patch ControllerRevision",
      "apply Deployment",
    ]);
    expect(on.deployedRelease).toBe(before);
    on.pods = [];
    on.converge();
    expect(phases(ofVersion(on, "2"))).toEqual(["Verifying", "RollingOut", "Failed", "Failed"]);
    expect(on.app.status?.current?.id).toBe(before);
    expect(messageOf(on)).toContain("Error: cannot serve");
  });

  it("is undone past the progress deadline, not for want of a node", () => {
    const on = released();
    publish(on, { version: "2" });
    on.reconcile();
    on.verify().reconcile();
    on.beginRollout();
    const deployment = on.get(kinds.deployment);
    Object.assign(deployment?.status ?? {}, {
      conditions: [
        {
          type: "Progressing",
          status: "False",
          reason: "ProgressDeadlineExceeded",
          message: "has timed out progressing",
        },
      ],
    });
    const pending = {
      metadata: {
        name: "cats-1",
        labels: { "aiapp.dev/release": on.deployedRelease ?? "", "aiapp.dev/role": "stable" },
      },
      status: {
        conditions: [
          { type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/3 nodes" },
        ],
      },
    };
    on.pods = [pending];
    expect(on.plan().changes).toEqual([]);
    on.pods = [];
    expect(on.plan().changes).toMatchObject([{ phase: "Failed" }]);
    expect(conditionsOf(on.plan())).toMatchObject({ Released: "False ProgressDeadlineExceeded" });
  });

  it("of the first release goes on: there is nothing to go back to", () => {
    const on = world();
    on.reconcile();
    on.verify().reconcile();
    on.beginRollout();
    on.crash();
    expect(on.plan().changes).toEqual([]);
    expect(conditionsOf(on.plan())).toMatchObject({ Stalled: "True PodCrashing" });
  });
});

describe("when image and model both changed and the pair fails", () => {
  type Fault = "none" | "image" | "model" | "both" | "combination";

  function judgeBy(fault: Fault, template = false): World["judge"] {
    return ({ imageDigest, modelVersion, inputs }) => {
      const [image, model] = [imageDigest === digestOf("image 2"), modelVersion === "2"];
      const bad =
        (template && (inputs.env ?? []).length > 0) ||
        (image && (fault === "image" || fault === "both")) ||
        (model && (fault === "model" || fault === "both")) ||
        (image && model && fault === "combination");
      return bad ? "VerificationFailed: wrong" : undefined;
    };
  }

  it.each([
    { fault: "image", serves: { image: "image 1", version: "2" } },
    { fault: "model", serves: { image: "image 2", version: "1" } },
    { fault: "both", serves: { image: "image 1", version: "1" } },
    { fault: "combination", serves: { image: "image 2", version: "1" } },
  ] as const)("the good half is released, and $fault is to blame", ({ fault, serves }) => {
    const on = released();
    on.judge = judgeBy(fault);
    publish(on, { image: "image 2", version: "2" }).converge();
    expect(on.app.status?.current).toMatchObject({
      imageDigest: digestOf(serves.image),
      modelVersion: serves.version,
    });
    const whole = on.record(
      ({ imageDigest, modelVersion }) =>
        imageDigest === digestOf("image 2") && modelVersion === "2",
    );
    expect(whole.journal.at(-1)).toMatchObject({ phase: "Failed", blame: fault });
    // A next image is not held responsible for anything.
    on.judge = () => undefined;
    publish(on, { image: "image 3" }).converge();
    expect(on.app.status?.current).toMatchObject({
      imageDigest: digestOf("image 3"),
      modelVersion: "2",
    });
  });

  it("nothing is tried when release.onFailure is Keep", () => {
    const on = released({ release: { onFailure: "Keep" } });
    on.judge = judgeBy("model");
    publish(on, { image: "image 2", version: "2" }).converge();
    expect(on.records).toHaveLength(2);
    expect(on.app.status?.current).toMatchObject({ modelVersion: "1" });
  });

  it("a half that passes while the sources are unknown, after a restart, is not rolled out", () => {
    const on = released();
    const before = on.deployedRelease;
    on.judge = judgeBy("combination");
    publish(on, { image: "image 2", version: "2" });
    const half = (): ReleaseRecord | undefined =>
      on.records.find(
        ({ imageDigest, modelVersion }) =>
          imageDigest === digestOf("image 2") && modelVersion === "1",
      );
    for (let round = 0; round < 10 && half() === undefined; round += 1) on.verify().reconcile();
    on.forget();
    on.verify().reconcile();
    expect(on.deployedRelease).toBe(before);
    expect(half()?.journal.map(({ phase }) => phase)).toEqual(["Verifying"]);
    on.poll().converge();
    expect(half()?.journal.map(({ phase }) => phase)).toEqual([
      "Verifying",
      "Superseded",
      "RollingOut",
      "Released",
    ]);
  });

  it("a half that nothing wants any more is not rolled out", () => {
    const on = released();
    const before = on.deployedRelease;
    on.judge = judgeBy("model");
    publish(on, { image: "image 2", version: "2" });
    for (let round = 0; round < 10 && on.records.length < 3; round += 1) on.verify().reconcile();
    on.change({ release: { onFailure: "Keep" } });
    on.converge();
    expect(on.deployedRelease).toBe(before);
    expect(on.records.map(phaseOf).toSorted()).toEqual(["Failed", "Released", "Superseded"]);
  });

  it("a bad template never blames the pair", () => {
    const on = released({ modelVersion: "1" });
    on.judge = judgeBy("none", true);
    on.change({ modelVersion: "2", env: [{ name: "LEVEL", value: "bad" }] });
    publish(on, { image: "image 2", version: "2" }).converge();
    expect(on.app.status?.current).toMatchObject({ modelVersion: "1" });
    const whole = on.record(
      ({ imageDigest, modelVersion }) =>
        imageDigest === digestOf("image 2") && modelVersion === "2",
    );
    expect(whole.journal.at(-1)).toMatchObject({ blame: "template" });
    expect(conditionsOf(on.plan())).toMatchObject({ Stalled: "True VerificationFailed" });
    on.change({ env: [] });
    on.poll().converge();
    expect(on.app.status?.current).toMatchObject({ modelVersion: "2" });
  });

  it("two hundred seeded faults are attributed rightly, and no innocent half is quarantined", () => {
    let right = 0;
    const faults = fc.record({
      image: fc.boolean(),
      model: fc.boolean(),
      env: fc.boolean(),
      fault: fc.constantFrom<Fault>("none", "image", "model", "both", "combination"),
      template: fc.boolean(),
    });
    const cases = fc.sample(faults, { numRuns: 200, seed: 42 });
    for (const { image, model, env, fault, template } of cases) {
      const on = released();
      on.judge = judgeBy(fault, template);
      if (env) on.change({ env: [{ name: "LEVEL", value: "new" }] });
      publish(on, {
        ...(image && { image: "image 2" }),
        ...(model && { version: "2" }),
      }).converge();
      const hasFault = (what: "image" | "model"): boolean =>
        (what === "image" ? image : model) && (fault === what || fault === "both");
      const expected =
        env && template
          ? "template"
          : hasFault("image") && hasFault("model")
            ? "both"
            : hasFault("image")
              ? "image"
              : hasFault("model")
                ? "model"
                : image && model && fault === "combination"
                  ? "combination"
                  : undefined;
      const requested = on.records.find(
        (record) =>
          record.imageDigest === digestOf(image ? "image 2" : "image 1") &&
          record.modelVersion === (model ? "2" : "1") &&
          (record.inputs.env ?? []).length === (env ? 1 : 0),
      );
      if (requested?.journal.at(-1)?.blame === expected) right += 1;
      const serving = on.record(({ id }) => id === on.app.status?.current?.id);
      expect(on.judge(serving)).toBeUndefined();
      const failed = on.records.filter((record) => phaseOf(record) === "Failed");
      expect(failed.filter((record) => on.judge(record) === undefined)).toEqual([]);
    }
    expect(right).toBe(200);
  }, 120_000);
});

describe("a release that waits", () => {
  it("settles before it is verified, and a further change starts the wait again, four times at most", () => {
    const on = released({ release: { settle: "10m" } });
    const began = on.now;
    publish(on, { version: "2" });
    on.reconcile();
    expect(conditionsOf(on.plan())).toMatchObject({ Released: "False Settling" });
    for (let version = 3; on.now - began < 39 * 60_000; version += 1) {
      on.now += 5 * 60_000;
      publish(on, { version: String(version) });
      expect(on.reconcile().actions.map(({ kind }) => kind)).toContain("create");
      expect(on.get(kinds.job, "cats-verify")).toBeUndefined();
    }
    on.now = began + 41 * 60_000;
    on.reconcile();
    expect(on.get(kinds.job, "cats-verify")).toBeDefined();
  });

  it("is as old as release.minAge before it is verified, and the operator wakes up for it", () => {
    const on = released({ release: { minAge: "2h" } });
    publish(on, { version: "2" });
    const { requeueAfterMs } = on.reconcile();
    expect(requeueAfterMs).toBe(600_000);
    on.now += 2 * 3_600_000 - 30_000;
    expect(on.reconcile().requeueAfterMs).toBeLessThan(30_000);
    on.now += 30_000;
    on.reconcile();
    expect(phases(ofVersion(on, "2"))).toEqual(["Settling", "Verifying"]);
  });

  it("is approved by its id, and by no other", () => {
    const on = released({ release: { approval: "Manual" } }).annotate(annotations.approve, "x");
    expect(on.app.status?.current).toBeUndefined();
    const first = ofVersion(on, "1").id;
    on.annotate(annotations.approve, first).converge();
    expect(on.deployedRelease).toBe(first);
    publish(on, { version: "2" }).converge();
    expect(on.deployedRelease).toBe(first);
    const { id } = ofVersion(on, "2");
    expect(conditionsOf(on.plan())).toMatchObject({
      Ready: "True Serving",
      Released: "False AwaitingApproval",
    });
    expect(messageOf(on)).toContain(`aiapp.dev/approve to ${id}`);
    on.annotate(annotations.approve, id).converge();
    expect(on.deployedRelease).toBe(id);
    expect(ofVersion(on, "2").journal.find(({ phase }) => phase === "RollingOut")).toMatchObject({
      by: "annotation",
    });
  });

  it("gives way to a newer one that polling finds", () => {
    const on = released({ release: { approval: "Manual" } });
    on.annotate(annotations.approve, ofVersion(on, "1").id).converge();
    publish(on, { version: "2" }).converge();
    publish(on, { version: "3" }).converge();
    expect(phaseOf(ofVersion(on, "2"))).toBe("Superseded");
    expect(phaseOf(ofVersion(on, "3"))).toBe("AwaitingApproval");
  });
});

describe("a release in time", () => {
  /** 08:00 UTC on a Sunday, and a window from two to four at night. */
  const release = { schedule: "0 2 * * *", duration: "2h" };

  it("is found and verified at once, and rolled out when its window opens", () => {
    const on = released({ release });
    publish(on, { version: "2" }).converge();
    const { id } = ofVersion(on, "2");
    expect(phaseOf(ofVersion(on, "2"))).toBe("Scheduled");
    expect(conditionsOf(on.plan())).toMatchObject({
      Ready: "True Serving",
      Released: "False Scheduled",
    });
    expect(on.app.status?.nextReleaseTime).toBe("2026-03-02T02:00:00Z");
    on.now = Date.parse("2026-03-02T01:59:30Z");
    expect(on.reconcile().requeueAfterMs).toBeLessThanOrEqual(30_000);
    on.now = Date.parse("2026-03-02T02:00:00Z");
    on.converge();
    expect(on.deployedRelease).toBe(id);
    expect(on.app.status?.nextReleaseTime).toBeUndefined();
  });

  it("is rolled out at once when a user names it, when it is the first, or when it is held", () => {
    const on = released({ release });
    const first = on.deployedRelease;
    expect(first).toBeDefined();
    publish(on, { version: "2" }).converge();
    const { id } = ofVersion(on, "2");
    on.annotate(annotations.releaseNow, id).converge();
    expect(on.deployedRelease).toBe(id);
    on.annotate(annotations.hold, first).converge();
    expect(on.deployedRelease).toBe(first);
  });

  it("finishes its rollout though the window closes meanwhile", () => {
    const on = released({ release });
    publish(on, { version: "2" }).converge();
    on.now = Date.parse("2026-03-02T03:59:59Z");
    on.reconcile();
    on.beginRollout();
    on.now = Date.parse("2026-03-02T09:00:00Z");
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("2");
  });

  it("waits for a schedule that can be read, and the running release keeps serving", () => {
    const on = released();
    on.change({ release: { schedule: "0 0 31 2 *" } });
    publish(on, { version: "2" }).converge();
    expect(on.app.status?.current?.modelVersion).toBe("1");
    expect(conditionsOf(on.plan())).toMatchObject({
      Ready: "True Serving",
      Released: "False InvalidSpec",
    });
    expect(messageOf(on)).toContain("spec.release.schedule");
  });
});

describe("a freeze", () => {
  const freeze = {
    name: "holidays",
    reason: "no engineer is on call",
    selector: { matchLabels: { team: "cats" } },
    time: { type: "Once", from: 0, until: Date.parse("2026-03-03T00:00:00Z") },
  } as const;

  it("keeps releases from beginning until it ends, and lets what has begun finish", () => {
    const on = released();
    publish(on, { version: "2" });
    on.reconcile();
    on.verify().reconcile();
    on.freezes = [freeze];
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("2");
    publish(on, { version: "3" }).converge();
    expect(on.app.status?.current?.modelVersion).toBe("2");
    expect(conditionsOf(on.plan())).toMatchObject({
      Ready: "True Serving",
      Released: "False Frozen",
    });
    expect(messageOf(on)).toContain(
      "AIAppReleaseFreeze holidays holds until 2026-03-03T00:00:00.000Z: no engineer is on call",
    );
    on.now = Date.parse("2026-03-03T00:00:00Z");
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("3");
  });

  it("does not hold for other namespaces, for apps that override it by name, or for a hold", () => {
    const other = released();
    other.freezes = [{ ...freeze, selector: { matchLabels: { team: "dogs" } } }];
    publish(other, { version: "2" }).converge();
    expect(other.app.status?.current?.modelVersion).toBe("2");
    const on = released();
    const first = on.deployedRelease;
    publish(on, { version: "2" }).converge();
    on.freezes = [freeze];
    on.annotate(annotations.hold, first).converge();
    expect(on.deployedRelease).toBe(first);
    on.annotate(annotations.hold, undefined).annotate(
      annotations.releaseNow,
      ofVersion(on, "2").id,
    );
    on.converge();
    expect(on.deployedRelease).toBe(first);
    on.annotate(annotations.overrideFreeze, "holidays").converge();
    expect(on.app.status?.current?.modelVersion).toBe("2");
  });
});

describe("suspend", () => {
  it("gives up a release before its rollout, which begins again afterwards", () => {
    const on = released();
    publish(on, { version: "2" });
    on.reconcile();
    on.change({ suspend: true });
    on.poll();
    expect(describeActions(on.reconcile())).toEqual(["patch ControllerRevision", "delete Job"]);
    expect(phases(ofVersion(on, "2"))).toEqual(["Verifying", "Superseded"]);
    expect(conditionsOf(on.plan())).toMatchObject({ Released: "False Suspended" });
    expect(on.plan().actions).toEqual([]);
    on.change({ suspend: false });
    on.poll().converge();
    expect(on.app.status?.current?.modelVersion).toBe("2");
  });

  it("pauses a rollout that has begun, and lets it go on afterwards", () => {
    const on = released({ replicas: 3 });
    publish(on, { version: "2" });
    on.reconcile();
    on.verify().reconcile();
    on.beginRollout();
    on.change({ suspend: true });
    on.poll();
    expect(describeActions(on.reconcile())).toEqual(["apply Deployment"]);
    expect(on.get(kinds.deployment)?.spec).toMatchObject({ paused: true, replicas: 3 });
    expect(phaseOf(ofVersion(on, "2"))).toBe("RollingOut");
    on.beginRollout();
    expect(on.reconcile().actions).toEqual([]);
    on.change({ suspend: false });
    on.poll().reconcile();
    expect(on.get(kinds.deployment)?.spec?.paused).toBeUndefined();
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("2");
  });
});

describe("by hand", () => {
  function two(): World {
    const on = released({ modelVersion: "latest" });
    return publish(on, { version: "2" }).converge();
  }

  it("a hold goes back at once, and automation does not move past it until it is removed", () => {
    const on = two();
    const first = ofVersion(on, "1").id;
    on.annotate(annotations.hold, first);
    expect(describeActions(on.reconcile())).toEqual([
      "patch ControllerRevision",
      "apply Deployment",
    ]);
    on.converge();
    expect(on.deployedRelease).toBe(first);
    expect(conditionsOf(on.plan())).toMatchObject({
      Ready: "True Serving",
      Released: "False Held",
    });
    publish(on, { version: "3" }).converge();
    expect(on.deployedRelease).toBe(first);
    on.annotate(annotations.hold, undefined).poll().converge();
    expect(on.app.status?.current?.modelVersion).toBe("3");
  });

  it("a hold of an unknown or a failed release is reported, and moves nothing", () => {
    const on = two();
    const before = on.deployedRelease;
    on.judge = () => "VerificationFailed: wrong";
    publish(on, { version: "3" }).converge();
    for (const id of ["0123456789", ofVersion(on, "3").id]) {
      on.annotate(annotations.hold, id).converge();
      expect(on.deployedRelease).toBe(before);
      expect(conditionsOf(on.plan())).toMatchObject({ Stalled: "True HoldInvalid" });
    }
  });

  it("a retry is answered once for each value of the annotation", () => {
    const on = two();
    on.judge = () => "VerificationFailed: wrong";
    publish(on, { version: "3" }).converge();
    const { id } = ofVersion(on, "3");
    on.annotate(annotations.retry, id).converge();
    expect(phases(ofVersion(on, "3")).filter((phase) => phase === "Verifying")).toHaveLength(2);
    on.converge();
    expect(phases(ofVersion(on, "3")).filter((phase) => phase === "Verifying")).toHaveLength(2);
    on.judge = () => undefined;
    on.annotate(annotations.retry, `${id}/2`).converge();
    expect(on.deployedRelease).toBe(id);
  });

  it("a retry verifies again what passed, and failed afterwards", () => {
    const on = released();
    publish(on, { version: "2" });
    on.reconcile();
    on.verify();
    on.reconcile();
    const { id } = ofVersion(on, "2");
    on.annotate(annotations.abort, id);
    on.reconcile();
    expect(phaseOf(ofVersion(on, "2"))).toBe("Failed");
    on.annotate(annotations.abort, undefined).annotate(annotations.retry, `${id}/1`);
    on.converge();
    expect(phases(ofVersion(on, "2"))).toEqual([
      "Verifying",
      "RollingOut",
      "Failed",
      "Verifying",
      "RollingOut",
      "Released",
    ]);
  });

  it("an abort gives up the release under way, and quarantines it", () => {
    const on = two();
    const before = on.deployedRelease;
    publish(on, { version: "3" });
    on.reconcile();
    const { id } = ofVersion(on, "3");
    on.annotate(annotations.abort, id).converge();
    expect(on.deployedRelease).toBe(before);
    expect(ofVersion(on, "3").journal.at(-1)).toMatchObject({ phase: "Failed", reason: "Aborted" });
    expect(conditionsOf(on.plan())).toMatchObject({ Released: "False Aborted" });
  });

  it("names who requested, from the fields that the API server keeps", () => {
    const on = two();
    const { id } = ofVersion(on, "1");
    on.annotate(annotations.hold, id);
    Object.assign(on.app.metadata, {
      managedFields: [
        {
          manager: "kubectl-annotate",
          time: "2026-03-01T09:00:00Z",
          fieldsV1: { "f:metadata": { "f:annotations": { [`f:${annotations.hold}`]: {} } } },
        },
      ],
    });
    on.reconcile();
    expect(ofVersion(on, "1").journal.at(-1)).toMatchObject({
      phase: "RollingOut",
      by: "kubectl-annotate at 2026-03-01T09:00:00Z",
    });
  });
});

describe("a verification pod", () => {
  /** The state of the candidate's verification pod while its Job runs. */
  function during(status: NonNullable<World["pods"][number]["status"]>): World {
    const on = released();
    publish(on, { version: "2" });
    on.reconcile();
    const labels = { "aiapp.dev/release": ofVersion(on, "2").id, "aiapp.dev/role": "verification" };
    on.pods = [{ metadata: { name: "cats-verify-1", labels }, status }];
    return on;
  }
  const container = { image: "", imageID: "", ready: false, restartCount: 0 };
  const exit = (exitCode: number, message = "") => ({ terminated: { exitCode, message } });

  it.each([
    { name: "server", message: "x", reason: "PodCrashing" },
    {
      name: "model-pull",
      message: "ModelChecksumMismatch: model.onnx differs",
      reason: "ModelChecksumMismatch",
    },
    { name: "samples", message: "x", reason: "VerificationFailed" },
  ])("fails for the reason of its container $name", ({ name, message, reason }) => {
    const on = during({ initContainerStatuses: [{ ...container, name, state: exit(1, message) }] });
    expect(on.plan().changes).toMatchObject([{ phase: "Failed" }]);
    expect(conditionsOf(on.plan())).toMatchObject({ Released: `False ${reason}` });
  });

  it.each(["", "StorageUnavailable: the store does not respond", "ModelPullFailed: ENOSPC"])(
    "is tried again when its model cannot be pulled for another cause than the model (%j)",
    (message) => {
      const on = during({
        initContainerStatuses: [{ ...container, name: "model-pull", state: exit(13, message) }],
      });
      expect(on.plan().changes).toEqual([]);
      on.now += 10_000;
      expect(on.plan().changes).toMatchObject([{ phase: "Verifying" }]);
    },
  );

  it("passes once its last container has succeeded, while the server still ends", () => {
    const on = during({
      phase: "Running",
      initContainerStatuses: [{ ...container, name: "server", state: { running: {} } }],
      containerStatuses: [{ ...container, name: "samples", state: exit(0, "Verified: 3 samples") }],
    });
    expect(on.reconcile().changes).toMatchObject([{ phase: "RollingOut" }]);
    expect(ofVersion(on, "2").journal.at(-1)).toMatchObject({ reason: "Verified" });
  });

  it("has not passed while its last container runs", () => {
    const on = during({
      phase: "Running",
      initContainerStatuses: [{ ...container, name: "samples", state: exit(0, "3 samples") }],
      containerStatuses: [{ ...container, name: "verify", state: { running: {} } }],
    });
    expect(on.plan().changes).toEqual([]);
  });

  it("fails by the user's container, whose last lines are the message", () => {
    const on = during({
      containerStatuses: [{ ...container, name: "verify", state: exit(7, "accuracy 0.42") }],
    });
    expect(conditionsOf(on.plan())).toMatchObject({ Released: "False VerificationFailed" });
    expect(messageOf(on)).toContain("exit code 7: accuracy 0.42");
  });

  it("that cannot pull for want of the registry waits; one whose image does not exist fails", () => {
    const waiting = (message: string) =>
      during({
        initContainerStatuses: [
          { ...container, name: "server", state: { waiting: { reason: "ErrImagePull", message } } },
        ],
      });
    expect(waiting("dial tcp: connection refused").plan().changes).toEqual([]);
    expect(waiting("manifest unknown").plan().changes).toMatchObject([{ phase: "Failed" }]);
  });

  it("whose samples container could not run is tried again, and one out of memory fails", () => {
    const ended = (
      state: ReturnType<typeof exit> | { terminated: { exitCode: number; reason: string } },
    ) => {
      const on = during({
        phase: "Failed",
        containerStatuses: [{ ...container, name: "samples", state }],
      });
      const job = on.get(kinds.job, "cats-verify");
      if (job !== undefined) job.status = { conditions: [{ type: "Failed", status: "True" }] };
      return on;
    };
    expect(ended(exit(2, "MODEL_DIR is missing")).plan().changes).toEqual([]);
    const outOfMemory = ended({ terminated: { exitCode: 137, reason: "OOMKilled" } });
    expect(conditionsOf(outOfMemory.plan())).toMatchObject({ Released: "False PodOutOfMemory" });
  });

  it("that ran out of time fails, and one that a node took away does not", () => {
    const ended = (reason: string) => {
      const on = during({ phase: "Failed", reason });
      const job = on.get(kinds.job, "cats-verify");
      if (job !== undefined) job.status = { conditions: [{ type: "Failed", status: "True" }] };
      return on;
    };
    expect(conditionsOf(ended("DeadlineExceeded").plan())).toMatchObject({
      Released: "False VerificationTimedOut",
    });
    expect(ended("NodeShutdown").plan().changes).toEqual([]);
  });

  it("whose server crashed is failed by the crash, not by what followed from it", () => {
    const on = during({
      phase: "Failed",
      initContainerStatuses: [
        {
          ...container,
          name: "server",
          restartCount: 1,
          state: exit(137),
          lastState: exit(1, "Segmentation fault"),
        },
      ],
      containerStatuses: [
        { ...container, name: "samples", state: exit(1, "VerificationFailed: connection reset") },
      ],
    });
    const job = on.get(kinds.job, "cats-verify");
    if (job !== undefined) job.status = { conditions: [{ type: "Failed", status: "True" }] };
    expect(messageOf(on)).toContain("Segmentation fault");
    expect(conditionsOf(on.plan())).toMatchObject({ Released: "False PodCrashing" });
  });
});
