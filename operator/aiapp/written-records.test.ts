import { describe, expect, it } from "vitest";

import { kinds, type V1ControllerRevision } from "../kube/types.ts";
import { WrittenRecords } from "./written-records.ts";

const KEY = "shop/cats";

function revision(name: string, resourceVersion: string): V1ControllerRevision {
  return { metadata: { namespace: "shop", name, uid: "1", resourceVersion }, revision: 1 };
}

function written(): {
  readonly records: WrittenRecords;
  readonly create: (made: V1ControllerRevision) => void;
  readonly patch: (name: string, before: string, made: V1ControllerRevision) => void;
  readonly remove: (gone: V1ControllerRevision) => void;
  readonly latest: (...cached: readonly V1ControllerRevision[]) => readonly string[];
  now: number;
} {
  const records = new WrittenRecords();
  const resource = kinds.controllerRevision;
  const state = {
    records,
    now: 0,
    create: (made: V1ControllerRevision) => {
      const object = { metadata: { namespace: "shop", name: made.metadata?.name ?? "" } };
      records.keep(KEY, { kind: "create", resource, object }, made, state.now);
    },
    patch: (name: string, resourceVersion: string, made: V1ControllerRevision) => {
      const object = { metadata: { namespace: "shop", name, resourceVersion } };
      records.keep(KEY, { kind: "patch", resource, object, patch: {} }, made, state.now);
    },
    remove: (object: V1ControllerRevision) =>
      records.keep(KEY, { kind: "delete", resource, object }, undefined, state.now),
    latest: (...cached: readonly V1ControllerRevision[]) =>
      records
        .latest(KEY, cached, state.now)
        .map(({ metadata }) => `${metadata?.name} ${metadata?.resourceVersion}`),
  };
  return state;
}

describe("the records that were written", () => {
  it("count until the cache shows them, and no longer", () => {
    const on = written();
    on.create(revision("a", "5"));
    expect(on.latest()).toEqual(["a 5"]);
    expect(on.latest(revision("a", "7"))).toEqual(["a 7"]);
    // Deleted by another actor: the cache is right.
    expect(on.latest()).toEqual([]);
  });

  it("count through several writes, of which the cache shows the first ones", () => {
    const on = written();
    on.create(revision("a", "5"));
    on.patch("a", "5", revision("a", "6"));
    on.patch("a", "6", revision("a", "8"));
    for (const cached of [[], [revision("a", "5")], [revision("a", "6")]])
      expect(on.latest(...cached, revision("b", "1"))).toEqual(["b 1", "a 8"]);
    expect(on.latest(revision("a", "8"))).toEqual(["a 8"]);
  });

  it("are gone once they are deleted, though the cache shows them still", () => {
    const on = written();
    on.remove(revision("a", "5"));
    expect(on.latest(revision("a", "5"), revision("b", "1"))).toEqual(["b 1"]);
    on.create(revision("a", "9"));
    expect(on.latest(revision("a", "5"))).toEqual(["a 9"]);
    expect(on.latest()).toEqual(["a 9"]);
  });

  it("do not outlive a failed write, nor five minutes", () => {
    const on = written();
    on.patch("a", "5", revision("a", "6"));
    const object = { metadata: { namespace: "shop", name: "a" } };
    on.records.drop(KEY, { kind: "delete", resource: kinds.secret, object });
    expect(on.latest(revision("a", "5"))).toEqual(["a 6"]);
    on.records.drop(KEY, { kind: "delete", resource: kinds.controllerRevision, object });
    expect(on.latest(revision("a", "5"))).toEqual(["a 5"]);
    on.patch("a", "5", revision("a", "6"));
    on.now += 5 * 60_000 + 1;
    expect(on.latest(revision("a", "5"))).toEqual(["a 5"]);
  });
});
