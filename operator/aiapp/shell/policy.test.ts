import { describe, expect, it } from "vitest";

import { annotations } from "../../../crds/names.ts";
import { kinds, type Kind, type KubernetesObject } from "../../kube/types.ts";
import { ShellStage } from "./stage.testing.ts";

/** The operator's shell in a cluster whose policy changes Deployments. */

function withDeadline({ kind }: Kind, object: KubernetesObject): KubernetesObject {
  if (kind !== kinds.deployment.kind) return object;
  const spec = { ...Reflect.get(object, "spec"), progressDeadlineSeconds: 77 };
  return Object.assign({ ...object }, { spec });
}

const isOfDeployment = (write: string): boolean => write.includes("apply Deployment");

async function withPolicy(): Promise<ShellStage> {
  const stage = await ShellStage.open({ modelVersion: "1" });
  stage.policy = withDeadline;
  await stage.arm();
  await stage.settle();
  return stage;
}

function writesOf(stage: ShellStage): number {
  return stage.invariants.writes.filter(isOfDeployment).length;
}

describe("a field that a policy of the cluster changes", () => {
  it("is reported, and the release is rolled out all the same", async () => {
    const stage = await withPolicy();
    const { current, overriddenFields } = await stage.status();
    expect(current?.modelVersion).toBe("1");
    expect(overriddenFields).toEqual(["Deployment cats: spec.progressDeadlineSeconds"]);
    await stage.close();
  });

  it("is not written again, however often the app is reconciled", async () => {
    const stage = await withPolicy();
    const before = writesOf(stage);
    for (const token of ["one", "two", "three"]) {
      await stage.annotate(annotations.requestedAt, token);
      await stage.settle();
    }
    expect(writesOf(stage)).toBe(before);
    await stage.close();
  });

  it("is written once more by a new process, and by the next release", async () => {
    const stage = await withPolicy();
    const before = writesOf(stage);
    await stage.arm();
    await stage.settle();
    expect(writesOf(stage)).toBe(before + 1);
    await stage.publish({ versions: ["1", "2"] });
    await stage.change({ modelVersion: "2" });
    await stage.settle();
    const { current, overriddenFields } = await stage.status();
    expect(current?.modelVersion).toBe("2");
    expect(overriddenFields).toEqual(["Deployment cats: spec.progressDeadlineSeconds"]);
    await stage.close();
  });
});

/** A person changes a label that the operator applied. */
async function relabel(stage: ShellStage): Promise<void> {
  const patch = { metadata: { labels: { team: "dogs" } } };
  const options = { fieldManager: "kubectl-label" };
  const signal = AbortSignal.timeout(10_000);
  await stage.api.patch(kinds.deployment, "shop", "cats", patch, options, signal);
  await stage.settle();
}

async function teamOf(stage: ShellStage): Promise<string | undefined> {
  const [deployment] = await stage.objects(kinds.deployment);
  return deployment?.metadata?.labels?.["team"];
}

describe("a label that a person changes", () => {
  it("is put back", async () => {
    const stage = await ShellStage.open({ modelVersion: "1", labels: { team: "cats" } });
    await stage.arm();
    await stage.settle();
    await relabel(stage);
    expect(await teamOf(stage)).toBe("cats");
    await stage.close();
  });

  it("is put back also where a policy changes another field", async () => {
    const stage = await ShellStage.open({ modelVersion: "1", labels: { team: "cats" } });
    stage.policy = withDeadline;
    await stage.arm();
    await stage.settle();
    await relabel(stage);
    expect(await teamOf(stage)).toBe("cats");
    const { overriddenFields } = await stage.status();
    expect(overriddenFields).toEqual(["Deployment cats: spec.progressDeadlineSeconds"]);
    await stage.close();
  });
});
