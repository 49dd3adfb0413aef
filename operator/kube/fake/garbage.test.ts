import { expect, it } from "vitest";

import { ManualClock } from "../../clock.testing.ts";
import { kinds, type KubernetesObject } from "../types.ts";
import { createFakeKube } from "./fake.testing.ts";
import { collectGarbage } from "./garbage.testing.ts";

const signal = AbortSignal.timeout(10_000);

it("deletes what owners left behind, and what that owned, and nothing else", async () => {
  const kube = createFakeKube({ clock: new ManualClock() });
  const make = (name: string, ...owners: readonly KubernetesObject[]) => {
    const ownerReferences = owners.map(({ metadata }) => ({
      apiVersion: "v1",
      kind: "Secret",
      name: metadata?.name ?? "",
      uid: metadata?.uid ?? "",
    }));
    const metadata = { namespace: "default", name, ownerReferences };
    return kube.create(kinds.secret, { metadata }, signal);
  };
  const owner = await make("owner");
  const other = await make("other");
  const child = await make("child", owner);
  await make("grandchild", child);
  await make("shared", owner, other);
  const collect = () => collectGarbage(kube, [kinds.secret], "default", signal);
  expect(await collect()).toEqual([]);
  const uid = owner.metadata?.uid ?? "";
  await kube.delete(kinds.secret, { namespace: "default", name: "owner", uid }, signal);
  expect(await collect()).toEqual(["Secret child", "Secret grandchild"]);
  const { items } = await kube.list(kinds.secret, {}, signal);
  expect(items.map(({ metadata }) => metadata?.name)).toEqual(["other", "shared"]);
});
