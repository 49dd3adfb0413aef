import { describe, expect, it } from "vitest";

import { kinds } from "../../kube/types.ts";
import { aiapp, digestOf, puller, World, type SpecInput } from "../observed.testing.ts";
import { releaseOf, requestOf, type Pair } from "./identity.ts";

const pair: Pair = {
  image: "example.azurecr.io/cats:1",
  imageDigest: digestOf("image 1"),
  modelVersion: "7",
  modelDigest: digestOf("model 7"),
};

function id(spec: SpecInput, of = pair): string {
  return releaseOf(aiapp(spec).spec, of).id;
}

describe("a release's id", () => {
  it("is the same for the same pair and the same inputs", () => {
    expect(id({})).toBe(id({}));
    expect(id({ replicas: 3, interval: "5m", suspend: true })).toBe(id({}));
    expect(id({ service: { port: 8000 } })).toBe(id({}));
  });

  it("is the one that older operators made of a spec without the fields that are new", () => {
    expect(id({})).toBe("cb4c48b268");
    const server = { port: 9000, scorePath: "/x" };
    const env = [{ name: "GRPC_PORT", value: "9001" }];
    const spec = { server, env, service: { port: 81 } };
    expect(id(spec)).toBe("63bd0c382f");
    expect(requestOf(aiapp(spec).spec)).toBe("8e6e19450a9a6df0");
  });

  it("changes with the port that the server listens on for gRPC, not with that of the Service", () => {
    const grpc = id({ service: { grpcPort: 9000 } });
    const ids = [id({}), grpc, id({ service: { grpcPort: 9000 }, server: { grpcPort: 8001 } })];
    expect(new Set(ids).size).toBe(ids.length);
    expect(id({ service: { grpcPort: 443 } })).toBe(grpc);
  });

  it("changes with the image, the model, and every input to the pods", () => {
    const ids = [
      id({}),
      id({}, { ...pair, imageDigest: digestOf("image 2") }),
      id({}, { ...pair, modelDigest: digestOf("model 8") }),
      id({}, { ...pair, modelVersion: "8" }),
      id({ model: { store: "https://other.blob.core.windows.net/models", name: "cats" } }),
      id({ env: [{ name: "LEVEL", value: "1" }] }),
      id({ resources: { requests: { cpu: "2" } } }),
      id({ podTemplate: { spec: { priorityClassName: "high" } } }),
      id({ server: { port: 9000 } }),
      id({ serviceAccountName: "theirs" }),
      id({ imagePullSecrets: [{ name: "pull" }] }),
      id({ nodeSelector: { pool: "gpu" } }),
      id({ tolerations: [{ operator: "Exists" }] }),
      id({ credentials: { storage: "login" } }),
      id({ credentials: { anonymous: ["Storage"] } }),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("depends neither on the order of members, nor on how a quantity or nothing is written", () => {
    expect(id({ nodeSelector: { pool: "gpu", zone: "1" } })).toBe(
      id({ nodeSelector: { zone: "1", pool: "gpu" } }),
    );
    expect(id({ resources: { requests: { cpu: 0.1 } } })).toBe(
      id({ resources: { requests: { cpu: "0.1" } } }),
    );
    expect(id({ resources: { requests: { cpu: 2 } } })).toBe(
      id({ resources: { requests: { cpu: "2" } } }),
    );
    expect(id({ env: [], tolerations: [], resources: {}, credentials: {} })).toBe(id({}));
    // How the registry is polled says nothing about the pods.
    expect(id({ credentials: { anonymous: ["Registry"] } })).toBe(id({}));
  });

  it("does not depend on the size of the model, which older operators did not record", () => {
    expect(id({}, { ...pair, modelBytes: 7 })).toBe(id({}));
  });

  it("does not depend on the tag, which moves", () => {
    expect(id({}, { ...pair, image: "example.azurecr.io/cats:stable" })).toBe(id({}));
  });
});

describe("a request", () => {
  it("changes with what the spec asks for, and with nothing else", () => {
    const request = (spec: SpecInput): string => requestOf(aiapp(spec).spec);
    expect(request({ replicas: 4, interval: "2m" })).toBe(request({}));
    expect(request({ modelVersion: 7 })).toBe(request({ modelVersion: "7" }));
    const requests = [
      request({}),
      request({ modelVersion: "7" }),
      request({ image: "example.azurecr.io/cats:2" }),
      request({ imagePolicy: { semver: ">=1" } }),
      request({ env: [{ name: "LEVEL", value: "1" }] }),
    ];
    expect(new Set(requests).size).toBe(requests.length);
  });
});

/** Makes the record and the Deployment what an operator wrote that knew no sizes of models. */
function forgetSize(world: World): void {
  const unknown = new Set(["modelBytes", "sizeLimit", "limits", "ephemeral-storage"]);
  for (const [key, object] of world.objects) {
    if (!key.startsWith(kinds.controllerRevision.plural)) continue;
    const text = JSON.stringify(object, (name, value: unknown) =>
      unknown.has(name) ? undefined : value,
    );
    world.objects.set(key, JSON.parse(text));
  }
  world.converge();
}

describe("two versions of the operator with other parts and other defaults", () => {
  const newer = {
    ...puller,
    image: "example.azurecr.io/operator:2",
    caBundle: "-----BEGIN CERTIFICATE-----",
    insecureHosts: ["registry.shop:5000"],
  };

  it("see the same release: nothing is written, no pod restarts", () => {
    const world = new World({ replicas: 2 }).poll().converge();
    const release = world.deployedRelease;
    world.puller = newer;
    world.forget();
    expect(world.plan().actions).toEqual([]);
    expect(world.poll().plan().actions).toEqual([]);
    const fresh = new World({ replicas: 2 });
    fresh.puller = newer;
    expect(fresh.poll().converge().deployedRelease).toBe(release);
  });

  it("leave a release alone that the older one recorded without the size of its model", () => {
    const world = new World({ modelVersion: "1" }).poll().converge();
    const release = world.deployedRelease;
    forgetSize(world);
    const limits = (): string | undefined => {
      const { template } = world.get(kinds.deployment)?.spec ?? {};
      return template?.spec?.volumes?.find(({ name }) => name === "model")?.emptyDir?.sizeLimit;
    };
    world.forget();
    expect(world.plan().actions).toEqual([]);
    expect(world.poll().plan().actions).toEqual([]);
    expect([world.deployedRelease, limits()]).toEqual([release, undefined]);
    world.change({ modelVersion: "2" });
    world.publish({ version: "2", model: digestOf("model 2") });
    world.poll().converge();
    expect(limits()).toBeDefined();
    // Gone back to, it has what it had, though it is rendered again.
    world.puller = newer;
    world.change({ modelVersion: "1" });
    world.publish({ version: "1", model: digestOf("model 1") });
    world.poll().converge();
    expect([world.deployedRelease, limits()]).toEqual([release, undefined]);
    expect(world.record(({ id }) => id === release).modelBytes).toBeUndefined();
  });

  it("render a release that is gone back to with the parts of today, under its old id", () => {
    const world = new World({ modelVersion: "1" }).poll().converge();
    const first = world.deployedRelease;
    world.change({ modelVersion: "2" });
    world.publish({ version: "2", model: digestOf("model 2") });
    world.poll().converge();
    world.puller = newer;
    world.change({ modelVersion: "1" });
    world.publish({ version: "1", model: digestOf("model 1") });
    world.poll().converge();
    expect(world.deployedRelease).toBe(first);
    const { template } = world.get(kinds.deployment)?.spec ?? {};
    expect(template?.spec?.initContainers?.[0]?.image).toBe(newer.image);
    // The record of the older rendering is gone, its journal is not.
    const records = world.records.filter((record) => record.id === first);
    expect(records).toHaveLength(1);
    expect(records[0]?.journal.map(({ phase }) => phase)).toEqual([
      "RollingOut",
      "Released",
      "RollingOut",
      "Released",
    ]);
    expect(world.app.status?.current?.id).toBe(first);
  });

  it("bring back a Deployment that is lost as it was, not as they would render it now", () => {
    const world = new World().poll().converge();
    world.puller = newer;
    world.objects.delete("deployments/cats");
    world.converge();
    const { template } = world.get(kinds.deployment)?.spec ?? {};
    expect(template?.spec?.initContainers?.[0]?.image).toBe(puller.image);
  });
});
