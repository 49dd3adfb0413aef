import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { annotations, candidateName } from "../../../crds/names.ts";
import { kinds, type V1Deployment } from "../../kube/types.ts";
import { conditionsOf, digestOf, World, type SpecInput } from "../observed.testing.ts";
import { phaseOf } from "../release/ledger.ts";
import type { ReleaseRecord } from "../release/record.ts";
import { podsFor } from "./canary.ts";
import { compare, type Counts } from "./measurement.ts";

const rollout: SpecInput["rollout"] = {
  strategy: "Canary",
  canary: {
    steps: [
      { weight: 20, pause: "1m" },
      { weight: 50, pause: "2m" },
    ],
  },
};

function released(spec: SpecInput = {}): World {
  return new World({ rollout, replicas: 4, ...spec }).poll().converge();
}

function publish(on: World, version: string): World {
  on.publish({ version, model: digestOf(`model ${version}`) });
  return on.poll();
}

function ofVersion(on: World, version: string): ReleaseRecord {
  return on.record(({ modelVersion }) => modelVersion === version);
}

function candidate(on: World): V1Deployment | undefined {
  return on.get(kinds.deployment, candidateName("cats"));
}

/** A world whose canary serves its first share. */
function begun(spec: SpecInput = {}): World {
  const on = publish(released(spec), "2");
  on.reconcile();
  on.rollOut();
  on.reconcile();
  on.reconcile();
  expect(on.selected).toBeUndefined();
  return on;
}

const good: Counts = { requests: 1000, errors: 0, p95Ms: 20 };

describe("a canary", () => {
  it("gets a share of the requests once its pods are ready, beside all the stable ones", () => {
    const on = publish(released(), "2");
    on.reconcile();
    expect(candidate(on)?.spec?.replicas).toBe(1);
    expect(on.selected).toBe("stable");
    on.beginRollout("candidate");
    on.reconcile();
    expect(on.selected).toBe("stable");
    on.rollOut();
    on.reconcile();
    // Both sets.
    expect(on.selected).toBeUndefined();
    expect(on.get(kinds.deployment)?.spec?.replicas).toBe(4);
    expect(on.deployedRelease).toBe(ofVersion(on, "1").id);
    const { status } = on.plan();
    const why = status.conditions?.find(({ type }) => type === "Released")?.message;
    expect(why).toContain("step 1 of 2: 1 of 5 pods (20 % of the requests) for 1m");
    expect(conditionsOf(on.plan())).toMatchObject({ Ready: "True Serving" });
  });

  it("takes each step after its pause, with what was measured in the journal, and is then released", () => {
    const on = begun();
    on.counts = { stable: good, candidate: { ...good, p95Ms: 30 } };
    expect(on.reconcile().changes).toEqual([]);
    on.now += 60_000;
    expect(on.reconcile().changes).toMatchObject([{ phase: "RollingOut" }]);
    expect(candidate(on)?.spec?.replicas).toBe(4);
    expect(ofVersion(on, "2").journal.at(-1)?.message).toBe(
      "step 1 of 2 passed: error rate 0.00 % (allowed 1.00 %), p95 30 ms (allowed 80 ms) of 1000 requests",
    );
    on.converge();
    expect(phaseOf(ofVersion(on, "2"))).toBe("Released");
    expect(on.deployedRelease).toBe(ofVersion(on, "2").id);
    expect(on.selected).toBe("stable");
    expect(candidate(on)).toBeUndefined();
  });

  it.each<[string, Counts]>([
    ["fails more requests", { ...good, errors: 30 }],
    ["is slower", { ...good, p95Ms: 200 }],
  ])("that %s is undone at once, and says what was measured and allowed", (_, worse) => {
    const on = begun();
    on.counts = { stable: good, candidate: worse };
    on.reconcile();
    expect(ofVersion(on, "2").journal.at(-1)).toMatchObject({
      phase: "Failed",
      reason: "CanaryWorse",
      message: expect.stringMatching(/^step 1 of 2: error rate .* \(allowed .*p95 .* \(allowed/),
    });
    expect(on.selected).toBe("stable");
    on.converge();
    expect(candidate(on)).toBeUndefined();
    expect(on.deployedRelease).toBe(ofVersion(on, "1").id);
    expect(on.app.status?.quarantined).toMatchObject([{ reason: "CanaryWorse" }]);
  });

  it("without requests to compare is judged on readiness, and says so", () => {
    const on = begun();
    on.counts = { stable: { ...good, requests: 3 }, candidate: { ...good, requests: 1 } };
    on.now += 61_000;
    on.reconcile();
    const { status } = on.plan();
    const why = status.conditions?.find(({ type }) => type === "Released")?.message;
    expect(why).toContain("step 1 of 2 passed: too few requests to compare (1 of 50)");
    on.counts = { stable: undefined, candidate: undefined };
    on.converge();
    expect(phaseOf(ofVersion(on, "2"))).toBe("Released");
  });

  it("whose pods crash is undone", () => {
    const on = begun();
    on.beginRollout("candidate");
    on.crash("Error: cannot serve", "candidate");
    expect(on.reconcile().changes).toMatchObject([{ phase: "Failed" }]);
    expect(on.selected).toBe("stable");
  });

  it("stays in its step while the operator restarts, which measures again", () => {
    const on = begun();
    on.now += 61_000;
    on.reconcile();
    const { journal } = ofVersion(on, "2");
    on.forget();
    on.poll();
    on.reconcile();
    expect(ofVersion(on, "2").journal).toEqual(journal);
    expect(candidate(on)?.spec?.replicas).toBe(4);
  });

  it("is not tried in steps when it served before: a rollback is urgent", () => {
    const on = publish(released(), "2").converge();
    on.annotate(annotations.hold, ofVersion(on, "1").id);
    on.reconcile();
    expect(on.deployedRelease).toBe(ofVersion(on, "1").id);
    expect(candidate(on)).toBeUndefined();
  });

  it("of an autoscaled app follows its number, and leaves it to the autoscaler", () => {
    const autoscaling = { minReplicas: 2, maxReplicas: 20, targetCPUUtilization: 70 };
    const on = begun({ replicas: undefined, autoscaling });
    expect(candidate(on)?.spec?.replicas).toBe(1);
    on.scale(12);
    on.rollOut();
    on.reconcile();
    expect(candidate(on)?.spec?.replicas).toBe(3);
    expect(on.get(kinds.deployment)?.spec?.replicas).toBe(12);
    expect(on.get(kinds.horizontalPodAutoscaler)?.spec?.scaleTargetRef.name).toBe("cats");
    on.converge();
    expect(on.get(kinds.deployment)?.spec?.replicas).toBe(12);
  });

  it("is finished by another strategy that is chosen meanwhile", () => {
    const on = begun();
    on.change({ rollout: { strategy: "BlueGreen" } });
    on.converge();
    expect(on.releaseIn("candidate")).toBe(ofVersion(on, "2").id);
    expect(on.selected).toBe("candidate");
  });
});

describe("the number of pods for a share", () => {
  it("is near the share, at least one, and never more than the stable ones", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 1000 }),
        (weight, n) => {
          const pods = podsFor(weight, n);
          expect(pods).toBeGreaterThanOrEqual(1);
          expect(pods).toBeLessThanOrEqual(n);
          // Half a pod more or less.
          const exact = Math.max(1, (n * weight) / (100 - weight));
          expect(Math.abs(pods - exact)).toBeLessThanOrEqual(0.5);
        },
      ),
    );
  });
});

describe("a comparison", () => {
  const counts = fc.record({
    requests: fc.integer({ min: 50, max: 100_000 }),
    errors: fc.constant(0),
    p95Ms: fc.integer({ min: 1, max: 10_000 }),
  });
  const step = { key: "a", since: 0, until: 0 };

  it("never finds pods worse that do as the stable ones do", () => {
    fc.assert(
      fc.property(counts, (same) => {
        expect(compare({ ...step, stable: same, candidate: same }, true).isWorse).toBe(false);
      }),
    );
  });

  it("finds a slow one worse at the end of a step, or once there are many requests", () => {
    const stable = { requests: 1000, errors: 0, p95Ms: 20 };
    const slow = (requests: number): Counts => ({ requests, errors: 0, p95Ms: 500 });
    const isWorse = (requests: number, isOver: boolean): boolean =>
      compare({ ...step, stable, candidate: slow(requests) }, isOver).isWorse;
    expect(isWorse(66, false)).toBe(false);
    expect(isWorse(66, true)).toBe(true);
    expect(isWorse(500, false)).toBe(true);
  });

  it("only gets worse with more errors", () => {
    fc.assert(
      fc.property(counts, counts, fc.nat({ max: 50 }), (stable, one, errors) => {
        const isWorse = (more: number): boolean =>
          compare({ ...step, stable, candidate: { ...one, errors: more } }, true).isWorse;
        expect(Number(isWorse(errors + 1))).toBeGreaterThanOrEqual(Number(isWorse(errors)));
      }),
    );
  });
});
