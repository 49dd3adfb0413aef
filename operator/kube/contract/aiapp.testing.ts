import { describe, expect, it } from "vitest";

import {
  ours,
  forced,
  theirs,
  appSpec,
  aiapp,
  uidOf,
  managerOf,
  refused,
  type Fields,
  type AIAppObject,
  type Cases,
} from "./cases.testing.ts";

export function describeAIApp(t: Cases): void {
  const { apply } = t;

  describe("an AIApp", () => {
    it("has its defaults, and a status from the beginning", async () => {
      const made = await apply(aiapp, { spec: appSpec });
      expect(made).toMatchObject({
        metadata: { generation: 1 },
        spec: { interval: "1m", suspend: false, model: { order: "Auto" } },
        status: { observedGeneration: -1 },
      });
      expect(managerOf(made, "ours")).toEqual({
        "f:spec": {
          "f:image": {},
          "f:modelVersion": {},
          "f:model": { "f:name": {}, "f:store": {} },
        },
      });
    });

    it("is refused when its schema says so", async () => {
      const spec = { ...appSpec, replicas: -1 };
      await refused(apply(aiapp, { spec }), "KUBE_INVALID");
      await refused(apply(aiapp, { spec: { ...appSpec, interval: "often" } }), "KUBE_INVALID");
      await refused(apply(aiapp, { spec: { ...appSpec, modelversion: "7" } }), "KUBE_INVALID");
      await refused(apply(aiapp, { spec: { image: appSpec.image } }), "KUBE_INVALID");
    });

    it("keeps spec and status apart: a write of one leaves the other alone", async () => {
      const status = { observedGeneration: 9 };
      const made = await apply(aiapp, { spec: appSpec, status });
      expect(made.status).toEqual({ observedGeneration: -1 });
      const reported = await apply(
        aiapp,
        { spec: { ...appSpec, modelVersion: "8" }, status },
        { ...forced, subresource: "status" },
        { uid: uidOf(made) },
      );
      expect(reported).toMatchObject({
        metadata: { generation: 1 },
        spec: { modelVersion: "7" },
        status: { observedGeneration: 9 },
      });
      expect(managerOf(reported, "ours", "status")).toEqual({
        "f:status": { "f:observedGeneration": {} },
      });
      const changed = await apply(aiapp, { spec: { ...appSpec, modelVersion: "8" } });
      expect(changed).toMatchObject({
        metadata: { generation: 2 },
        spec: { modelVersion: "8" },
        status: { observedGeneration: 9 },
      });
    });

    it("merges conditions by type and history by id, and forgets what is left out", async () => {
      await apply(aiapp, { spec: appSpec });
      const condition = (type: string, value: string): Fields => ({
        type,
        status: value,
        reason: "Because",
        message: "",
        lastTransitionTime: "2026-03-01T08:00:00Z",
      });
      const release = (id: string): Fields => ({
        id,
        image: "contoso.azurecr.io/cats:1.4",
        imageDigest: "sha256:1",
        modelVersion: "7",
        modelDigest: "sha256:2",
        since: "2026-03-01T08:00:00Z",
        phase: "Released",
      });
      const write = (status: Fields, options = ours): Promise<AIAppObject> =>
        apply(aiapp, { status }, { ...options, subresource: "status" });
      await write({
        observedGeneration: 1,
        url: "http://cats",
        conditions: [condition("Ready", "False"), condition("Available", "True")],
        history: [release("b"), release("a")],
      });
      await write({ conditions: [condition("Stalled", "True")] }, theirs);
      const left = await write({
        observedGeneration: 1,
        conditions: [condition("Ready", "True")],
        history: [release("c"), release("b")],
      });
      expect(left.status).toMatchObject({
        conditions: [
          { type: "Ready", status: "True" },
          { type: "Stalled", status: "True" },
        ],
        history: [{ id: "c" }, { id: "b" }],
      });
      expect(left.status).not.toHaveProperty("url");
      expect(await write({ conditions: [condition("Stalled", "True")] }, theirs)).toEqual(left);
    });

    it("has a status only while it is there", async () => {
      const written = apply(
        aiapp,
        { status: { observedGeneration: 1 } },
        { ...forced, subresource: "status" },
      );
      await refused(written, "KUBE_NOT_FOUND");
    });
  });
}
