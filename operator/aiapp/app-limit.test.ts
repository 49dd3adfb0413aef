import { describe, expect, it } from "vitest";

import { kinds, type KubernetesObject } from "../kube/types.ts";
import { refusalByCount } from "./app-limit.ts";
import { aiapp } from "./observed.testing.ts";
import { ShellStage } from "./shell/stage.testing.ts";
import { aiappKind } from "./status-writer.ts";

const signal = new AbortController().signal;

function app(name: string, minute: number): KubernetesObject {
  const creationTimestamp = `2026-03-01T08:${String(minute).padStart(2, "0")}:00Z`;
  return { metadata: { namespace: "shop", name, creationTimestamp } } as never;
}

describe("the AIApps of a namespace that are served", () => {
  const all = [app("new", 3), app("old", 1), app("same-b", 2), app("same-a", 2)];
  const served = (limit: number): readonly (string | undefined)[] =>
    all
      .filter((one) => refusalByCount(one, { indexed: () => all }, limit) === undefined)
      .map(({ metadata }) => metadata?.name);

  it("are the oldest ones, and of the same age the first by name", () => {
    expect(served(1)).toEqual(["old"]);
    expect(served(2)).toEqual(["old", "same-a"]);
    expect(served(3)).toEqual(["old", "same-b", "same-a"]);
  });

  it("are all of them up to the limit, and without one", () => {
    expect(served(4)).toHaveLength(4);
    expect(served(0)).toHaveLength(4);
  });
});

describe("an AIApp beyond the limit of its namespace", () => {
  it("is not served, says which limit that is, and is served once another one is deleted", async () => {
    const stage = await ShellStage.open();
    stage.appLimit = 1;
    const { apiVersion, kind, spec } = aiapp();
    const ants = { apiVersion, kind, metadata: { namespace: "shop", name: "ants" }, spec };
    const created = await stage.api.create(aiappKind, structuredClone(ants), signal);
    await stage.arm();
    await stage.settle();
    const { conditions } = await stage.status();
    const message =
      "the operator serves at most 1 AIApps of namespace shop, the oldest ones, and this one is newer: delete others, or ask an administrator to raise namespaceLimits.apps";
    const limited = { reason: "NamespaceLimit", message };
    expect(conditions).toEqual([
      expect.objectContaining({ type: "Released", status: "False", ...limited }),
      expect.objectContaining({ type: "Stalled", status: "True", ...limited }),
    ]);
    expect(await stage.objects(kinds.deployment)).toEqual([]);
    const { uid = "" } = created.metadata ?? {};
    await stage.api.delete(aiappKind, { namespace: "shop", name: "ants", uid }, signal);
    await stage.settle();
    expect((await stage.status()).current).toMatchObject({ modelVersion: "1" });
    await stage.close();
  });
});
