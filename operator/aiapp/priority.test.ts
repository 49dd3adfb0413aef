import { describe, expect, it } from "vitest";

import { kinds, type Kind, type KubernetesObject } from "../kube/types.ts";
import { priorityOfApp, priorityOfOwned } from "./priority.ts";

interface Metadata {
  readonly generation?: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly deletionTimestamp?: string;
}

function app(metadata: Metadata, status?: unknown): KubernetesObject {
  const object = {
    metadata: { namespace: "shop", name: "cats", generation: 1, ...metadata },
    status,
  };
  // As the wire has it: times are strings.
  return object as unknown as KubernetesObject;
}

function priorityAfter(previous: KubernetesObject | undefined, object: KubernetesObject): string {
  return priorityOfApp(object, { previous, gone: false, initial: false });
}

describe("the priority of an AIApp", () => {
  it("is that of a user when its spec changes, it is deleted, or one of our annotations changes", () => {
    const before = app({});
    expect(priorityAfter(before, app({ generation: 2 }))).toBe("user");
    expect(priorityAfter(before, app({ deletionTimestamp: "2026-03-01T08:00:00Z" }))).toBe("user");
    const requested = app({ annotations: { "aiapp.dev/requestedAt": "1" } });
    expect(priorityAfter(before, requested)).toBe("user");
    expect(priorityAfter(requested, app({ annotations: { "aiapp.dev/requestedAt": "2" } }))).toBe(
      "user",
    );
    expect(priorityAfter(requested, before)).toBe("user");
  });

  it("is background when only its status or what is not ours changes", () => {
    expect(priorityAfter(app({}), app({}, { url: "x" }))).toBe("background");
    expect(priorityAfter(app({}), app({ annotations: { note: "x" } }))).toBe("background");
  });

  it("is background when it is new: releases of other apps come first", () => {
    expect(priorityAfter(undefined, app({}))).toBe("background");
  });
});

describe("the priority of an object that an app owns", () => {
  const object = ({ kind }: Kind, status: unknown = {}): KubernetesObject =>
    ({ kind, metadata: { namespace: "shop", name: "cats" }, status }) as KubernetesObject;
  const none = { previous: undefined, gone: false, initial: false };

  it("is that of a rollout when the status of a Deployment changes", () => {
    const previous = object(kinds.deployment, { updatedReplicas: 0 });
    const now = object(kinds.deployment, { updatedReplicas: 1 });
    expect(priorityOfOwned(now, { ...none, previous })).toBe("rollout");
    expect(priorityOfOwned(previous, { ...none, previous })).toBe("default");
  });

  it("is the default when another object changes, or any is deleted", () => {
    const service = object(kinds.service, { loadBalancer: {} });
    expect(priorityOfOwned(service, { ...none, previous: object(kinds.service) })).toBe("default");
    const deployment = object(kinds.deployment);
    expect(priorityOfOwned(deployment, { ...none, previous: deployment, gone: true })).toBe(
      "default",
    );
  });

  it("is background when it is new, or in the first list", () => {
    expect(priorityOfOwned(object(kinds.service), none)).toBe("background");
    const initial = { previous: object(kinds.deployment), gone: false, initial: true };
    expect(priorityOfOwned(object(kinds.deployment, { replicas: 1 }), initial)).toBe("background");
  });
});
