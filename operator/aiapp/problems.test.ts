import { describe, expect, it } from "vitest";

import { createMetrics } from "../metrics.ts";
import { kinds } from "../kube/types.ts";
import { digestOf, World, type SpecInput } from "./observed.testing.ts";
import { ProblemGauges, problemsOf } from "./problems.ts";

function released(spec: SpecInput = {}): World {
  return new World({ verify: {}, ...spec }).poll().converge();
}

function publish(on: World, version: string): World {
  on.publish({ version, model: digestOf(`model ${version}`) });
  return on.poll();
}

function problems(on: World): readonly string[] {
  return problemsOf(on.plan().status).map(({ problem, reason }) => `${problem} ${reason}`);
}

describe("the problems of an app", () => {
  it("are none at rest", () => {
    expect(problems(released())).toEqual([]);
  });

  it("name a failed release while it is asked for, since it failed", () => {
    const on = released();
    on.judge = () => "VerificationFailed: wrong";
    publish(on, "2").converge();
    expect(problems(on)).toEqual(["ReleaseFailed VerificationFailed"]);
    const { quarantined, conditions } = on.plan().status;
    const [problem] = problemsOf(on.plan().status);
    expect(problem?.since).toBe(Date.parse(quarantined?.[0]?.since ?? "") / 1000);
    expect(conditions?.find(({ type }) => type === "Ready")?.status).toBe("True");
    // It stays quarantined, and is no problem once a newer one is released.
    on.judge = () => undefined;
    publish(on, "3").converge();
    expect(on.plan().status.quarantined).toHaveLength(1);
    expect(problems(on)).toEqual([]);
  });

  it("distinguish an outage from an app that has not served yet", () => {
    expect(problems(new World())).toEqual(["NotReady WaitingForSources"]);
    const on = released();
    Object.assign(on.get(kinds.deployment)?.status ?? {}, { availableReplicas: 0 });
    expect(problems(on)).toEqual(["Outage MinimumReplicasUnavailable"]);
  });

  it("name a release that waits for approval, and sources that fail", () => {
    const on = released();
    on.change({ release: { approval: "Manual" } });
    publish(on, "2").converge();
    on.fail("model", "STORAGE_AUTH_FAILED", "the store refuses the key");
    expect(problems(on)).toEqual([
      "AwaitingApproval AwaitingApproval",
      "SourcesFailing StorageAuthFailed",
    ]);
  });

  it("name what a pod that starts elsewhere would not find", () => {
    const on = released();
    on.gone.add(digestOf("image 1"));
    expect(problems(on)).toEqual(["Unrecoverable ImageGone"]);
  });

  it("name webhooks that fail", () => {
    const on = released({ notifications: [{ name: "chat", type: "Slack", secret: "chat" }] });
    expect(problems(on)).toEqual([]);
    const failing = { name: "chat", code: "SECRET_NOT_FOUND", message: "create it" } as const;
    on.deliveries = { isDelivered: () => false, failing: [failing] };
    expect(problems(on)).toEqual(["NotificationsFailing SecretNotFound"]);
  });

  it("name what only a user can change", () => {
    const on = released();
    on.change({ modelVersion: "7" });
    on.fail("model", "MODEL_NOT_FOUND", "there is no version 7");
    expect(problems(on)).toContain("SourcesFailing ModelNotFound");
  });
});

describe("the gauges of apps", () => {
  it("have series only for apps with a problem, and drop them with it", async () => {
    const metrics = createMetrics();
    const gauges = new ProblemGauges(metrics);
    const on = released();
    gauges.note("shop/fine", on.plan().status);
    gauges.note("shop/cats", new World().plan().status);
    const series = async (): Promise<readonly string[]> =>
      (await metrics.registry.metrics()).split("\n").filter((line) => line.startsWith("aiapp_"));
    const first = await series();
    expect(first).toContain("aiapp_apps 2");
    expect(first.filter((line) => line.startsWith("aiapp_problem"))).toEqual([
      `aiapp_problem_since_timestamp_seconds{app_namespace="shop",app="cats",problem="NotReady",reason="WaitingForSources"} ${Date.parse("2026-03-01T08:00:00Z") / 1000}`,
    ]);
    gauges.note("shop/cats", on.plan().status);
    gauges.forget("shop/fine");
    const second = await series();
    expect(second).toContain("aiapp_apps 1");
    expect(second.filter((line) => line.startsWith("aiapp_problem"))).toEqual([]);
  });

  it("are bounded when every app has a problem at once", async () => {
    const metrics = createMetrics();
    const gauges = new ProblemGauges(metrics);
    const { status } = new World().plan();
    for (let index = 0; index < 3000; index += 1) gauges.note(`shop/app-${index}`, status);
    const text = await metrics.registry.metrics();
    expect(text.match(/^aiapp_problem_since_timestamp_seconds\{/gm)).toHaveLength(2000);
    expect(text).toContain("aiapp_apps 3000\n");
  });
});
