import { describe, expect, it } from "vitest";

import { annotations } from "../../../crds/names.ts";
import { kinds } from "../../kube/types.ts";
import { conditionsOf, digestOf, World, type SpecInput } from "../observed.testing.ts";

/** verify.placement InPlace: the verification has the place of a pod of the stable set. */

function released(spec: SpecInput = {}): World {
  return new World({ verify: { placement: "InPlace" }, replicas: 3, ...spec }).poll().converge();
}

/** Version 2 is found, and its verification begins. */
function bumped(spec: SpecInput = {}): World {
  const on = released(spec);
  on.publish({ version: "2", model: digestOf("model 2") });
  on.poll().reconcile();
  return on;
}

function replicas(on: World): number | undefined {
  return on.get(kinds.deployment)?.spec?.replicas;
}

function givesPlaceTo(on: World): string | undefined {
  return on.get(kinds.deployment)?.metadata?.annotations?.[annotations.givesPlaceTo];
}

describe("a verification without a place to spare", () => {
  it("takes the place of one pod, which comes back with the rollout", () => {
    const on = bumped();
    expect(on.get(kinds.job, "cats-verify")).toBeDefined();
    expect(replicas(on)).toBe(2);
    on.rollOut();
    on.verify().reconcile();
    expect(replicas(on)).toBe(3);
    expect(givesPlaceTo(on)).toBeUndefined();
    on.converge();
    expect(on.app.status?.current?.modelVersion).toBe("2");
  });

  it("gives the place back when it fails", () => {
    const on = bumped();
    on.judge = () => "VerificationFailed: result[0]: expected 1, got 2";
    on.verify().converge();
    expect(replicas(on)).toBe(3);
    expect(on.app.status?.current?.modelVersion).toBe("1");
  });

  it("gives the place back between two attempts after a fault of the infrastructure", () => {
    const on = bumped();
    on.judge = () => "StorageThrottled: the store asks to slow down";
    on.verify().reconcile();
    expect(replicas(on)).toBe(3);
    on.now += 10 * 60_000;
    on.reconcile();
    on.reconcile();
    expect(replicas(on)).toBe(2);
  });

  it("gives the place back while it waits for its approval or its window", () => {
    const on = released();
    on.change({ release: { approval: "Manual" } });
    on.publish({ version: "2", model: digestOf("model 2") });
    on.poll().reconcile();
    expect(replicas(on)).toBe(2);
    on.verify().reconcile();
    expect(replicas(on)).toBe(3);
    expect(conditionsOf(on.plan())).toMatchObject({ Released: "False AwaitingApproval" });
  });

  it("gives the place back when releases are suspended, and nothing else is written", () => {
    const on = bumped();
    on.change({ suspend: true });
    on.reconcile();
    expect(replicas(on)).toBe(3);
    expect(on.get(kinds.job, "cats-verify")).toBeUndefined();
    on.scale(1);
    expect(on.reconcile().actions).toEqual([]);
  });

  it("leaves nothing serving where there is one pod only, and says so", () => {
    const on = bumped({ replicas: 1 });
    expect(replicas(on)).toBe(0);
    on.rollOut();
    on.reconcile();
    expect(conditionsOf(on.plan())).toMatchObject({
      Ready: "False Verifying",
      Available: "False Verifying",
    });
    const ready = on.plan().status.conditions?.find(({ type }) => type === "Ready");
    expect(ready?.message).toContain("spec.verify.placement is InPlace");
  });

  it("takes no place for the first release: there is no pod to give it", () => {
    const on = new World({ verify: { placement: "InPlace" }, replicas: 2 }).poll();
    on.reconcile();
    expect(on.get(kinds.job, "cats-verify")).toBeDefined();
    expect(on.get(kinds.deployment)).toBeUndefined();
  });

  it("takes no place where no pod is wanted", () => {
    const on = bumped({ replicas: 0 });
    expect(givesPlaceTo(on)).toBeUndefined();
    expect(conditionsOf(on.plan())).toMatchObject({ Available: "False NoReplicas" });
  });

  it("rolls out without a pod more than there are", () => {
    expect(released().get(kinds.deployment)?.spec?.strategy).toEqual({
      type: "RollingUpdate",
      rollingUpdate: { maxUnavailable: 1, maxSurge: 0 },
    });
    expect(released({ verify: {} }).get(kinds.deployment)?.spec?.strategy).toMatchObject({
      rollingUpdate: { maxUnavailable: 0 },
    });
  });
});
