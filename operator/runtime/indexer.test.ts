import { describe, expect, it } from "vitest";

import { createLogger } from "../log.ts";
import type { KubernetesObject } from "../kube/types.ts";
import { Indexer, type Change } from "./indexer.ts";

interface Thing extends KubernetesObject {
  readonly data?: { readonly owner?: string; readonly size?: number };
}

function thing(name: string, resourceVersion: string, data: Thing["data"] = {}): Thing {
  return { metadata: { namespace: "shop", name, resourceVersion, managedFields: [{}] }, data };
}

function setUp(options: Partial<ConstructorParameters<typeof Indexer<Thing>>[0]> = {}) {
  const changes: (readonly [name: string, Change<Thing>])[] = [];
  const indexer = new Indexer<Thing>({
    kind: { kind: "Thing" },
    indexBy: ({ data }) => data?.owner,
    onChange: (object, change) => changes.push([object.metadata?.name ?? "", change]),
    log: createLogger("silent"),
    ...options,
  });
  return { indexer, changes };
}

describe("an indexer", () => {
  it("stores without managedFields what no transform is given for", () => {
    const { indexer } = setUp();
    indexer.take({ type: "ADDED", object: thing("a", "1") });
    const metadata = { namespace: "shop", name: "a", resourceVersion: "1" };
    expect(indexer.get("shop", "a")?.metadata).toEqual(metadata);
  });

  it("stores, files and reports what the transform makes of an object", () => {
    const reported: Thing[] = [];
    const { indexer } = setUp({
      transform: ({ metadata, data }) => ({
        metadata: {
          namespace: metadata?.namespace ?? "",
          name: metadata?.name ?? "",
          resourceVersion: metadata?.resourceVersion ?? "",
        },
        data: { owner: `of ${data?.owner}` },
      }),
      onChange: (object) => reported.push(object),
    });
    indexer.replace([thing("a", "1", { owner: "x", size: 9 })]);
    expect(indexer.get("shop", "a")?.data).toEqual({ owner: "of x" });
    expect(indexer.indexed("of x")).toEqual(reported);
    indexer.take({ type: "DELETED", object: thing("a", "2", { owner: "x" }) });
    expect(indexer.indexed("of x")).toEqual([]);
    expect(reported).toHaveLength(2);
  });

  it("moves an object in the index when its owner changes", () => {
    const { indexer } = setUp();
    indexer.take({ type: "ADDED", object: thing("a", "1", { owner: "x" }) });
    indexer.take({ type: "MODIFIED", object: thing("a", "2", { owner: "y" }) });
    expect(indexer.indexed("x")).toEqual([]);
    expect(indexer.indexed("y")).toHaveLength(1);
  });

  it("marks the first list as initial, and later ones as news of what came, changed and went", () => {
    const { indexer, changes } = setUp();
    indexer.replace([thing("a", "1"), thing("b", "1"), thing("c", "1")]);
    expect(changes.map(([name, { initial }]) => [name, initial])).toEqual([
      ["a", true],
      ["b", true],
      ["c", true],
    ]);
    changes.length = 0;
    indexer.replace([thing("b", "1"), thing("c", "2"), thing("d", "1")]);
    expect(
      changes.map(([name, { previous, gone, initial }]) => [
        name,
        previous?.metadata?.resourceVersion,
        gone,
        initial,
      ]),
    ).toEqual([
      ["a", "1", true, false],
      ["c", "1", false, false],
      ["d", undefined, false, false],
    ]);
  });

  it("keeps watching when a listener throws", () => {
    const { indexer } = setUp({
      onChange: () => {
        throw new Error("no");
      },
    });
    indexer.take({ type: "ADDED", object: thing("a", "1") });
    indexer.take({ type: "ADDED", object: thing("b", "1") });
    expect([...indexer.list()]).toHaveLength(2);
  });
});
