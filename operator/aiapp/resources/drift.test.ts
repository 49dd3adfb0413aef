import { describe, expect, it } from "vitest";

import { covers, unmanagedEntries } from "./drift.ts";

describe("an owned object covers what was applied", () => {
  it.each([
    ["with defaults beside it", { replicas: 1, minReadySeconds: 0 }, { replicas: 1 }],
    [
      "with a container of another actor, wherever it stands",
      { containers: [{ name: "proxy" }, { name: "server", image: "a" }] },
      { containers: [{ name: "server", image: "a" }] },
    ],
    [
      "with an environment variable of another actor",
      {
        env: [
          { name: "DEBUG", value: "1" },
          { name: "PORT", value: "80" },
        ],
      },
      { env: [{ name: "PORT", value: "80" }] },
    ],
    [
      "with the default of a member of a key",
      { ports: [{ containerPort: 8080, protocol: "TCP" }] },
      { ports: [{ containerPort: 8080 }] },
    ],
    [
      "with a quantity in another unit",
      { resources: { requests: { cpu: "500m" } } },
      { resources: { requests: { cpu: "0.5" } } },
    ],
    [
      "with the limit of a volume in another unit",
      { volumes: [{ name: "model", emptyDir: { sizeLimit: "2Gi" } }] },
      { volumes: [{ name: "model", emptyDir: { sizeLimit: "2048Mi" } }] },
    ],
    [
      "with an empty text that was not stored",
      { env: [{ name: "A" }] },
      { env: [{ name: "A", value: "" }] },
    ],
    ["with members that were not applied", { a: 1 }, { a: 1, b: undefined }],
  ])("%s", (_, live, desired) => {
    expect(covers(live, desired)).toBe(true);
  });

  it.each([
    ["a changed value", { replicas: 2 }, { replicas: 1 }],
    [
      "a number in a text",
      { env: [{ name: "A", value: "1.0" }] },
      { env: [{ name: "A", value: "1" }] },
    ],
    ["a missing member", {}, { replicas: 1 }],
    ["a missing element", { env: [{ name: "B" }] }, { env: [{ name: "A" }] }],
    [
      "a changed element behind others",
      { env: [{ name: "B" }, { name: "A", value: "2" }] },
      { env: [{ name: "A", value: "1" }] },
    ],
    ["an element more in an atomic list", { args: ["a", "b"] }, { args: ["a"] }],
    ["another order of an atomic list", { args: ["b", "a"] }, { args: ["a", "b"] }],
    ["an element that is no object", { containers: [{ name: "a" }] }, { containers: ["a"] }],
    ["another kind of value", { containers: {} }, { containers: [] }],
    [
      "a port of another protocol",
      { ports: [{ port: 80, protocol: "UDP" }] },
      { ports: [{ port: 80, protocol: "TCP" }] },
    ],
  ])("not with %s", (_, live, desired) => {
    expect(covers(live, desired)).toBe(false);
  });
});

describe("entries that others have added to a pod", () => {
  const port = { name: "PORT", value: "8080" };
  const applied = {
    serviceAccountName: "cats",
    containers: [{ name: "server", env: [port] }],
    volumes: [{ name: "model", emptyDir: {} }],
  };
  const server = { ...applied.containers[0], imagePullPolicy: "IfNotPresent" };

  it.each<[string, object, readonly string[]]>([
    ["none", applied, []],
    [
      "fields that the API server fills in",
      { ...applied, containers: [server], restartPolicy: "Always", securityContext: {} },
      [],
    ],
    [
      "an environment variable",
      { ...applied, containers: [{ ...server, env: [{ name: "A" }, port] }] },
      ["containers[server].env[A]"],
    ],
    [
      "a sidecar with its volume",
      {
        ...applied,
        containers: [{ name: "proxy", env: [{ name: "B" }] }, server],
        volumes: [...applied.volumes, { name: "tokens" }],
      },
      ["containers[proxy]", "volumes[tokens]"],
    ],
    [
      "lists of which nothing was applied",
      {
        ...applied,
        initContainers: [{ name: "init" }],
        hostAliases: [],
        containers: [{ ...server, envFrom: [{ secretRef: { name: "x" } }] }],
      },
      ["initContainers[init]", "containers[server].envFrom"],
    ],
  ])("%s", (_, live, entries) => {
    expect([...unmanagedEntries(live, applied)].toSorted()).toEqual(entries.toSorted());
  });
});
