import { describe, expect, it } from "vitest";

import { annotations } from "../../../crds/names.ts";
import { kinds, type V1ControllerRevision } from "../../kube/types.ts";
import { digestOf, World } from "../observed.testing.ts";
import { keepRecord, readRecord } from "./record.ts";

/** The record of a release as the API server keeps it. */
function stored(world = new World().poll().converge()): V1ControllerRevision {
  const [record] = world.records;
  const found = world.get(kinds.controllerRevision, record?.stored?.name ?? "");
  if (found === undefined) throw new Error("there is no record");
  return found;
}

describe("a release's record", () => {
  it("holds all that a rollback needs", () => {
    expect(readRecord(stored())).toMatchObject({
      imageDigest: digestOf("image 1"),
      modelVersion: "1",
      modelDigest: digestOf("model 1"),
      modelBytes: 100_000_000,
      model: { store: "https://models.blob.core.windows.net/models", name: "cats" },
      inputs: {},
      template: { spec: { containers: [{ name: "server" }] } },
      journal: [{ phase: "RollingOut" }, { phase: "Released" }],
    });
  });

  it("of a newer operator is read, and written back without touching its frozen data", () => {
    const world = new World().poll().converge();
    const newer = structuredClone(stored(world));
    const inputs = { accelerator: "h100" };
    newer.data = { ...newer.data, schema: 2, signature: "abc", inputs };
    const record = readRecord(newer);
    expect(record).toMatchObject({ id: world.deployedRelease, inputs: { accelerator: "h100" } });
    if (record === undefined) return;
    const action = keepRecord(world.app, { ...record, image: "example.azurecr.io/cats:2" });
    expect(action).toMatchObject({ kind: "patch" });
    expect(JSON.stringify(action)).not.toContain('"data"');
    expect(world.plan().actions).toEqual([]);
  });

  it("of an older operator, with fewer members, is read", () => {
    const older = structuredClone(stored());
    const { metadata } = older;
    delete metadata?.annotations?.[annotations.request];
    expect(readRecord(older)).toMatchObject({ request: undefined });
  });

  it.each([
    ["without the size of its model", undefined],
    ["with a size that is none", "a lot"],
    ["with a size below zero", -1],
  ])("%s is read, and of no known size", (_, modelBytes) => {
    const object = structuredClone(stored());
    object.data = { ...object.data, modelBytes };
    expect(readRecord(object)).toMatchObject({ modelVersion: "1", modelBytes: undefined });
  });

  it.each([
    ["without data", (object: V1ControllerRevision) => void delete object.data],
    [
      "with a template that has no containers",
      (object: V1ControllerRevision) => {
        object.data = { ...object.data, template: { spec: {} } };
      },
    ],
    [
      "with another id",
      (object: V1ControllerRevision) => {
        object.data = { ...object.data, id: "../../etc" };
      },
    ],
  ])("%s is not taken for one", (_, change) => {
    const object = structuredClone(stored());
    change(object);
    expect(readRecord(object)).toBeUndefined();
  });

  it("is never overwritten by an operator whose cache is behind", () => {
    const world = new World().poll();
    world.reconcile();
    const outdated = world.observe();
    world.rollOut();
    world.reconcile();
    // What the older view would write is rejected: the journal has an entry more.
    const record = outdated.records[0];
    if (record === undefined) throw new Error("there is no record");
    const action = keepRecord(world.app, record);
    expect(() => world.act(action)).toThrow("has changed");
    const unseen = keepRecord(world.app, { ...record, stored: undefined });
    expect(() => world.act(unseen)).toThrow("already exists");
  });
});
