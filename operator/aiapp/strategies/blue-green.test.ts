import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { annotations, candidateName } from "../../../crds/names.ts";
import { kinds, type V1Deployment } from "../../kube/types.ts";
import {
  conditionsOf,
  describeActions,
  digestOf,
  World,
  type SpecInput,
} from "../observed.testing.ts";
import { phaseOf } from "../release/ledger.ts";

const MINUTE = 60_000;
/** One write moves the requests; the budget follows. */
const switching = ["apply Service", "apply PodDisruptionBudget"];
const blueGreen = { strategy: "BlueGreen" } as const;

/** A world whose first release serves. */
function released(spec: SpecInput = {}): World {
  return new World({ rollout: blueGreen, replicas: 3, ...spec }).poll().converge();
}

function publish(on: World, version: string): World {
  on.publish({ version, model: digestOf(`model ${version}`) });
  return on.poll();
}

function idOf(on: World, version: string): string {
  return on.record(({ modelVersion }) => modelVersion === version).id;
}

function candidate(on: World): V1Deployment | undefined {
  return on.get(kinds.deployment, candidateName("cats"));
}

/** The release that the Service sends requests to. */
function served(on: World): string | undefined {
  return on.selected === "candidate" ? on.releaseIn("candidate") : on.deployedRelease;
}

/** A world whose second release serves from the candidate set, the first one being kept. */
function switched(spec: SpecInput = {}): World {
  const on = publish(released(spec), "2").converge();
  expect(served(on)).toBe(idOf(on, "2"));
  return on;
}

describe("a blue-green release", () => {
  it("comes up whole beside what serves, and all requests go to it by one write of the Service", () => {
    const on = publish(released(), "2");
    expect(describeActions(on.reconcile())).toEqual([
      "create ControllerRevision",
      "apply Deployment",
    ]);
    expect(candidate(on)?.spec?.replicas).toBe(3);
    on.beginRollout("candidate");
    on.reconcile();
    expect(served(on)).toBe(idOf(on, "1"));
    expect(conditionsOf(on.plan())).toMatchObject({
      Ready: "True Serving",
      Released: "False RollingOut",
    });
    on.rollOut("candidate");
    expect(describeActions(on.reconcile())).toEqual(switching);
    expect(on.selected).toBe("candidate");
    expect(describeActions(on.reconcile())).toEqual(["patch ControllerRevision"]);
    expect(on.record(({ modelVersion }) => modelVersion === "2")).toSatisfy(
      (record: Parameters<typeof phaseOf>[0]) => phaseOf(record) === "Released",
    );
    // Nothing of the first one has changed.
    expect(on.deployedRelease).toBe(idOf(on, "1"));
  });

  it("is gone back from by one write of the Service while the previous set is kept", () => {
    const on = switched();
    on.now += 9 * MINUTE;
    on.annotate(annotations.hold, idOf(on, "1"));
    expect(describeActions(on.reconcile())).toEqual(["patch ControllerRevision", ...switching]);
    expect(on.selected).toBe("stable");
    on.converge();
    expect(on.app.status?.current?.id).toBe(idOf(on, "1"));
    // And forward again likewise.
    on.annotate(annotations.hold, undefined);
    expect(describeActions(on.reconcile())).toEqual(["patch ControllerRevision", ...switching]);
    expect(served(on)).toBe(idOf(on, "2"));
  });

  it("has the previous set deleted after keepPrevious, which is marked first", () => {
    const on = switched({ rollout: { ...blueGreen, keepPrevious: "5m" } });
    const kept = on.plan();
    expect(kept.isWakeUp).toBe(true);
    expect(kept.requeueAfterMs).toBeLessThanOrEqual(5 * MINUTE);
    on.now += kept.requeueAfterMs;
    expect(describeActions(on.reconcile())).toEqual(["patch Deployment"]);
    expect(describeActions(on.reconcile())).toEqual(["delete Deployment"]);
    expect(on.get(kinds.deployment)).toBeUndefined();
    on.converge();
    expect(served(on)).toBe(idOf(on, "2"));
    expect(on.app.status?.replicas).toBe(3);
  });

  it("comes back from a mark when it is wanted again before it is deleted", () => {
    const on = switched({ rollout: { ...blueGreen, keepPrevious: "1m" } });
    on.now += MINUTE;
    on.reconcile();
    on.annotate(annotations.hold, idOf(on, "1"));
    expect(describeActions(on.reconcile())).toEqual([
      "patch ControllerRevision",
      "apply Deployment",
    ]);
    expect(describeActions(on.reconcile())).toEqual(switching);
    expect(served(on)).toBe(idOf(on, "1"));
  });

  it("that crashes before the switch gets no request, is undone, and its set is deleted", () => {
    const on = publish(released(), "2");
    on.reconcile();
    on.beginRollout("candidate");
    on.crash("Error: cannot serve", "candidate");
    expect(on.reconcile().changes).toMatchObject([{ phase: "Failed" }]);
    on.pods = [];
    on.converge();
    expect(served(on)).toBe(idOf(on, "1"));
    expect(candidate(on)).toBeUndefined();
    expect(on.app.status?.quarantined).toMatchObject([
      {
        id: idOf(on, "2"),
        reason: "PodCrashing",
        message: expect.stringContaining("cannot serve"),
      },
    ]);
  });

  it("that crashes right after the switch, before it counts as released, gives the requests back", () => {
    const on = publish(released(), "2");
    on.reconcile();
    on.rollOut("candidate");
    on.reconcile();
    expect(on.selected).toBe("candidate");
    on.beginRollout("candidate");
    on.crash("Error: cannot serve", "candidate");
    on.reconcile();
    expect(served(on)).toBe(idOf(on, "1"));
  });

  it("replaces a kept set when a newer one follows", () => {
    const on = publish(switched(), "3");
    on.reconcile();
    expect(on.deployedRelease).toBe(idOf(on, "3"));
    expect(served(on)).toBe(idOf(on, "2"));
    on.converge();
    expect(on.selected).toBe("stable");
    expect(served(on)).toBe(idOf(on, "3"));
  });

  it("is paused with its set while the app is suspended, and is not switched to", () => {
    const on = publish(released(), "2");
    on.reconcile();
    on.change({ suspend: true });
    on.reconcile();
    expect(candidate(on)?.spec).toMatchObject({ paused: true });
    on.rollOut("candidate");
    on.reconcile();
    expect(served(on)).toBe(idOf(on, "1"));
    on.change({ suspend: false });
    on.converge();
    expect(served(on)).toBe(idOf(on, "2"));
  });

  it("does not replace the serving set though the cache shows the Service as before the switch", () => {
    const on = publish(released(), "2");
    const before = structuredClone(on.objects.get("services/cats"));
    on.converge();
    const after = on.objects.get("services/cats");
    if (before === undefined || after === undefined) throw new Error("there is no Service");
    on.objects.set("services/cats", before);
    publish(on, "3").reconcile();
    expect(on.releaseIn("candidate")).toBe(idOf(on, "2"));
  });
});

describe("an autoscaled blue-green release", () => {
  const autoscaling = { minReplicas: 2, maxReplicas: 9, targetCPUUtilization: 70 };
  const spec = { replicas: undefined, autoscaling };

  function targetOf(on: World): string | undefined {
    return on.get(kinds.horizontalPodAutoscaler)?.spec?.scaleTargetRef.name;
  }

  it("comes up with the number of the serving set, which moves with the switch", () => {
    const on = released(spec);
    on.scale(5);
    publish(on, "2").reconcile();
    expect(candidate(on)?.spec?.replicas).toBe(5);
    expect(targetOf(on)).toBe("cats");
    on.converge();
    expect(targetOf(on)).toBe("cats-candidate");
    expect(candidate(on)?.spec?.replicas).toBe(5);
    expect(on.get(kinds.deployment)?.spec?.replicas).toBe(5);
    // The autoscaler's from now on.
    const live = candidate(on);
    if (live?.spec === undefined) throw new Error("there is no Deployment");
    live.spec.replicas = 7;
    live.metadata?.managedFields?.push({
      manager: "autoscaler",
      fieldsV1: { "f:spec": { "f:replicas": {} } },
    });
    on.converge();
    expect(candidate(on)?.spec?.replicas).toBe(7);
    // The kept set could take over.
    expect(on.get(kinds.deployment)?.spec?.replicas).toBe(7);
    live.spec.replicas = 4;
    on.converge();
    expect(candidate(on)?.spec?.replicas).toBe(4);
    expect(on.get(kinds.deployment)?.spec?.replicas).toBe(7);
  });
});

describe("an app whose strategy changes", () => {
  it("to BlueGreen restarts nothing", () => {
    const on = new World({ replicas: 3 }).poll().converge();
    on.change({ rollout: blueGreen });
    expect(describeActions(on.reconcile())).toEqual([]);
  });

  it("to Rolling serves without a gap, and then from the Deployment of its name again", () => {
    const on = switched();
    on.change({ rollout: { strategy: "Rolling" } });
    on.reconcile();
    expect(served(on)).toBe(idOf(on, "2"));
    expect(on.deployedRelease).toBe(idOf(on, "2"));
    on.beginRollout("stable");
    on.reconcile();
    expect(on.selected).toBe("candidate");
    on.converge();
    expect(on.selected).toBe("stable");
    expect(candidate(on)).toBeUndefined();
    publish(on, "3").converge();
    expect(on.deployedRelease).toBe(idOf(on, "3"));
  });
});

describe("whatever happens to a blue-green app", () => {
  const steps = ["publish", "hold", "resume", "crash", "strategy", "wait", "work"] as const;

  it("the set that serves is never changed, deleted or short of pods, wherever the operator ends", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...steps), fc.nat({ max: 5 })), { maxLength: 25 }),
        (story) => {
          const on = released();
          let version = 1;
          on.onWrite = (action) => {
            const name = action.object.metadata?.name;
            if (action.resource !== kinds.deployment) return;
            const serving = on.selected === "candidate" ? "cats-candidate" : "cats";
            if (name !== serving || on.get(kinds.deployment, serving) === undefined) return;
            expect(action.kind).toBe("apply");
            // Rolling alone changes it in place, pod by pod.
            if (on.app.spec.rollout?.strategy === "Rolling") return;
            expect(action.object).toMatchObject({ spec: { replicas: 3 } });
            expect(JSON.stringify(action.object)).toContain(served(on));
          };
          for (const [step, count] of story) {
            if (step === "publish") publish(on, String((version += 1)));
            else if (step === "hold") {
              const { id } = on.records[count % on.records.length] ?? {};
              on.annotate(annotations.hold, id);
            } else if (step === "resume") on.annotate(annotations.hold, undefined);
            else if (step === "crash") {
              const idle = on.selected === "candidate" ? "stable" : "candidate";
              if (on.get(kinds.deployment, idle === "stable" ? "cats" : "cats-candidate"))
                on.beginRollout(idle);
              on.crash("Error: cannot serve", idle);
              on.reconcile(count);
              on.pods = [];
            } else if (step === "strategy")
              on.change({ rollout: { strategy: count > 3 ? "Rolling" : "BlueGreen" } });
            else if (step === "wait") on.now += 6 * MINUTE;
            else on.rollOut();
            on.reconcile(count);
          }
          on.annotate(annotations.hold, undefined);
          on.change({ rollout: blueGreen });
          publish(on, String(version + 1)).converge();
          expect(served(on)).toBe(idOf(on, String(version + 1)));
        },
      ),
    );
  });
});
