import { describe, expect, it } from "vitest";

import { aiapp, digestOf, puller, World, type SpecInput } from "../observed.testing.ts";
import { releaseOf } from "../release/identity.ts";
import { memoryLimitOf } from "./memory-limit.ts";
import { renderTemplate, type PullerSettings } from "./template.ts";

const GIB = 2 ** 30;
const settings: PullerSettings = { ...puller, modelServerImages: ["example.azurecr.io/scoring"] };
const image = "example.azurecr.io/scoring/cats:1";
/** One worker. */
const resources = { limits: { cpu: "0.5" } };

/** The memory limit of the server container of a release. */
function limitOf(
  spec: SpecInput,
  modelBytes: number | undefined = GIB,
  by = settings,
): string | undefined {
  const app = aiapp({ image, ...spec });
  const digests = { imageDigest: digestOf("image 1"), modelDigest: digestOf("model 1") };
  const pair = { image: app.spec.image, modelVersion: "1", modelBytes, ...digests };
  return memoryLimitOf(renderTemplate(app, releaseOf(app.spec, pair), by));
}

function workers(value: string): SpecInput["env"] {
  return [{ name: "WORKERS", value }];
}

describe("the model server without a memory limit", () => {
  it("gets one for each worker that it has, twice the model and 256 MiB, and 1 GiB beside", () => {
    expect(limitOf({ env: workers("1") })).toBe("3328Mi");
    expect(limitOf({ env: workers("4") })).toBe("10240Mi");
    expect(limitOf({ env: workers("1") }, 0)).toBe("1280Mi");
  });

  it("has a worker for each core that it may use, unless it is given another number", () => {
    expect(limitOf({ resources })).toBe("3328Mi");
    expect(limitOf({ resources: { limits: { cpu: "1500m" } } })).toBe(limitOf({ env: workers("2") })); // prettier-ignore
    expect(limitOf({ resources: { limits: { cpu: 3 } }, env: workers("2") })).toBe(
      limitOf({ env: workers("2") }),
    );
  });

  it("keeps the other limits that it has", () => {
    const app = aiapp({ image, resources });
    const digests = { imageDigest: digestOf("image 1"), modelDigest: digestOf("model 1") };
    const pair = { image, modelVersion: "1", modelBytes: GIB, ...digests };
    const { spec } = renderTemplate(app, releaseOf(app.spec, pair), settings);
    expect(spec?.containers[0]?.resources?.limits).toEqual({ cpu: "0.5", memory: "3328Mi" });
  });

  it("never gets one below what it requests", () => {
    const requests = { memory: "8Gi" };
    expect(limitOf({ resources: { ...resources, requests } })).toBe("8Gi");
  });

  it.each<[string, SpecInput, number?]>([
    ["its number of workers is that of the node's cores", {}],
    ["its number of workers comes from elsewhere", { env: [{ name: "WORKERS", valueFrom: { configMapKeyRef: { name: "a", key: "b" } } }] }], // prettier-ignore
    ["a ConfigMap may say its number of workers", { resources, podTemplate: { spec: { containers: [{ name: "server", envFrom: [{ configMapRef: { name: "a" } }] }] } } }], // prettier-ignore
    ["its model is in memory", { resources, podTemplate: { spec: { volumes: [{ name: "model", emptyDir: { medium: "Memory" } }] } } }], // prettier-ignore
  ])("stays without one where %s", (_, spec) => {
    expect(limitOf(spec)).toBeUndefined();
  });

  it("stays without one where the size of its model is not recorded", () => {
    const app = aiapp({ image, resources });
    const digests = { imageDigest: digestOf("image 1"), modelDigest: digestOf("model 1") };
    const release = releaseOf(app.spec, { image, modelVersion: "1", ...digests });
    expect(memoryLimitOf(renderTemplate(app, release, settings))).toBeUndefined();
  });
});

describe("what an AIApp says of memory", () => {
  it("goes before, in resources and in podTemplate", () => {
    expect(limitOf({ resources: { limits: { cpu: "1", memory: "300Mi" } } })).toBe("300Mi");
    for (const memory of ["400Mi", 400_000_000]) {
      const server = { name: "server", resources: { limits: { memory } } };
      const podTemplate = { spec: { containers: [server] } };
      expect(limitOf({ resources, podTemplate })).toBe(String(memory));
    }
  });
});

describe("an image that is not listed as the model server", () => {
  it.each([
    "example.azurecr.io/scoring-of-others:1",
    "example.azurecr.io/cats:1",
    "other.io/scoring/cats:1",
  ])(
    // prettier-ignore
    "gets no limit: %s",
    (other) => {
      expect(limitOf({ image: other, resources })).toBeUndefined();
    },
  );

  it("is every image by default", () => {
    expect(limitOf({ resources }, GIB, puller)).toBeUndefined();
  });
});

it.each<[string, object]>([
  ["containers", { containers: {} }],
  ["a container", { containers: [null] }],
  ["an environment", { containers: [{ name: "server", env: {}, envFrom: {} }] }],
  ["a variable", { containers: [{ name: "server", env: [null] }] }],
  ["resources", { containers: [{ name: "server", resources: { limits: "1", requests: 1 } }] }],
])(
  "a podTemplate with %s of another shape is rendered, for the API server to refuse",
  (_, spec) => {
    expect(() => limitOf({ resources, podTemplate: { spec } })).not.toThrow(/properties|function/);
  },
);

it("the status says the limit of the release that serves, and the id of the release does not", () => {
  const world = new World({ resources });
  world.puller = { ...puller, modelServerImages: ["example.azurecr.io/cats"] };
  const { deployedRelease, app } = world.poll().converge();
  expect(app.status?.current).toMatchObject({ memoryLimit: "1471Mi" });
  const without = new World({ resources }).poll().converge();
  expect(without.deployedRelease).toBe(deployedRelease);
  expect(without.app.status?.current).not.toHaveProperty("memoryLimit");
});
