import { describe, expect, it } from "vitest";

import { labels } from "../../../crds/names.ts";
import type { V1Pod } from "../../kube/types.ts";
import { conditionsOf, digestOf, World } from "../observed.testing.ts";

function released(): World {
  return new World({ replicas: 2 }).poll().converge();
}

function pod(world: World, name: string, status: V1Pod["status"] & object): V1Pod {
  const release = world.deployedRelease ?? "";
  return {
    metadata: { name, labels: { [labels.release]: release, [labels.role]: "stable" } },
    status,
  };
}

/** It serves again. */
function restarted(world: World, name: string, restartCount: number): V1Pod {
  const server = { name: "server", image: "", imageID: "", ready: true, restartCount };
  const lastState = { terminated: { exitCode: 137, reason: "OOMKilled" } };
  return pod(world, name, { phase: "Running", containerStatuses: [{ ...server, lastState }] });
}

function evicted(world: World, name: string): V1Pod {
  const message = "The node was low on resource: memory. ";
  return pod(world, name, { phase: "Failed", reason: "Evicted", message });
}

describe("pods that were restarted or evicted", () => {
  it("are counted in the status although all pods serve", () => {
    const world = released();
    world.pods = [restarted(world, "cats-1", 1), restarted(world, "cats-2", 0)];
    const plan = world.reconcile();
    expect(plan.status.disruptions).toEqual({
      restarts: 1,
      evictions: 0,
      message:
        "container server of pod cats-1 was restarted once, last after exit code 137 (OOMKilled)",
    });
    expect(conditionsOf(plan)).toMatchObject({ Ready: "True Serving" });
    expect(plan.events).toEqual([]);
  });

  it("are an event once they are many, and not with each further one", () => {
    const world = released();
    const reasons = [1, 2, 3, 4, 9].map((count) => {
      world.pods = [restarted(world, "cats-1", count)];
      return world.reconcile().events.map(({ reason }) => reason);
    });
    expect(reasons).toEqual([[], [], ["PodsDisrupted"], [], []]);
  });

  it("are named: the container with the most restarts, and the last eviction", () => {
    const world = released();
    world.pods = [
      restarted(world, "cats-1", 2),
      restarted(world, "cats-2", 5),
      evicted(world, "cats-3"),
      evicted(world, "cats-4"),
    ];
    const { status, events } = world.reconcile();
    expect(status.disruptions).toMatchObject({ restarts: 7, evictions: 2 });
    expect(status.disruptions?.message).toMatch(
      /pod cats-2 was restarted 5 times, .*; pod cats-4 was evicted: The node was low on resource: memory/,
    );
    expect(events).toMatchObject([{ type: "Warning", reason: "PodsDisrupted" }]);
  });

  it("count no more once another template runs", () => {
    const world = released();
    world.pods = [restarted(world, "cats-1", 3)];
    world.reconcile();
    world.publish({ version: "2", model: digestOf("model 2") });
    world.poll().converge();
    expect(world.reconcile().status.disruptions).toBeUndefined();
  });

  it("are none in pods of a verification", () => {
    const world = released();
    const of = restarted(world, "cats-verify-1", 4);
    world.pods = [
      {
        ...of,
        metadata: {
          ...of.metadata,
          labels: { ...of.metadata?.labels, [labels.role]: "verification" },
        },
      },
    ];
    expect(world.reconcile().status.disruptions).toBeUndefined();
  });
});
