import { describe, expect, it } from "vitest";

import { kinds } from "../../kube/types.ts";
import { conditionsOf, World } from "../observed.testing.ts";

const MINUTE = 60_000;

function scaled(): World {
  return new World({ autoscaling: { maxReplicas: 3 } }).poll().converge();
}

/** What the autoscaler reports from now on. */
function report(world: World, status: "True" | "False", reason: string, message: string): void {
  const lastTransitionTime = new Date(world.now).toISOString();
  Object.assign(world.get(kinds.horizontalPodAutoscaler) ?? {}, {
    status: {
      conditions: [
        { type: "AbleToScale", status: "True" },
        { type: "ScalingActive", status, reason, message, lastTransitionTime },
      ],
    },
  });
}

function loseMetrics(world: World): void {
  report(world, "False", "FailedGetResourceMetric", "unable to fetch metrics: no server");
}

describe("an autoscaler without metrics", () => {
  it("is reported in its own words after two minutes, once, and the app is Ready all the same", () => {
    const world = scaled();
    loseMetrics(world);
    world.now += 2 * MINUTE;
    const plan = world.reconcile();
    expect(conditionsOf(plan)).toMatchObject({
      Autoscaling: "False ScalingInactive",
      Ready: "True Serving",
      Released: "True Released",
    });
    expect(plan.events).toMatchObject([
      {
        type: "Warning",
        reason: "ScalingInactive",
        message:
          "the HorizontalPodAutoscaler does not scale: FailedGetResourceMetric: unable to fetch metrics: no server",
      },
    ]);
    expect(world.reconcile().events).toEqual([]);
  });

  it("is not reported before: new pods have no metrics yet; the operator returns when it is due", () => {
    const world = scaled();
    loseMetrics(world);
    const plan = world.reconcile();
    expect(conditionsOf(plan)["Autoscaling"]).toBeUndefined();
    expect(plan.requeueAfterMs).toBe(2 * MINUTE);
    world.now += MINUTE;
    expect(conditionsOf(world.plan())["Autoscaling"]).toBeUndefined();
  });

  it("is reported no more once there are metrics", () => {
    const world = scaled();
    loseMetrics(world);
    world.now += 3 * MINUTE;
    world.reconcile();
    report(world, "True", "ValidMetricFound", "the HPA was able to compute the replica count");
    const plan = world.reconcile();
    expect(conditionsOf(plan)).toMatchObject({ Autoscaling: "True ScalingActive" });
    expect(plan.events).toEqual([]);
  });

  it("is reported at once if the time of its report cannot be read", () => {
    const world = scaled();
    loseMetrics(world);
    const [, active] = world.get(kinds.horizontalPodAutoscaler)?.status?.conditions ?? [];
    Object.assign(active ?? {}, { lastTransitionTime: "yesterday" });
    expect(conditionsOf(world.plan())).toMatchObject({ Autoscaling: "False ScalingInactive" });
  });
});

describe("an app without an autoscaler", () => {
  it("has no condition about it", () => {
    const world = scaled();
    loseMetrics(world);
    world.now += 3 * MINUTE;
    world.reconcile();
    world.app = { ...world.app, spec: { ...world.app.spec, autoscaling: undefined, replicas: 1 } };
    expect(conditionsOf(world.plan())["Autoscaling"]).toBeUndefined();
  });
});
