import { describe, expect, it } from "vitest";

import type { V1Container } from "../../kube/types.ts";
import { nanosOf } from "../../kube/quantity.ts";
import { aiapp, digestOf, puller, type SpecInput } from "../observed.testing.ts";
import { releaseOf } from "../release/identity.ts";
import { renderTemplate } from "./template.ts";

const GIB = 2 ** 30;

interface Rendered {
  readonly emptyDir: unknown;
  readonly pull: V1Container["resources"];
}

/** What the model's volume and the container that pulls it get. */
function render(modelBytes: number | undefined, podTemplate?: SpecInput["podTemplate"]): Rendered {
  const app = aiapp(podTemplate === undefined ? {} : { podTemplate });
  const digests = { imageDigest: digestOf("image 1"), modelDigest: digestOf("model 1") };
  const pair = { image: app.spec.image, modelVersion: "1", modelBytes, ...digests };
  const { spec } = renderTemplate(app, releaseOf(app.spec, pair), puller);
  const volume = spec?.volumes?.find(({ name }) => name === "model");
  const pull = spec?.initContainers?.find(({ name }) => name === "model-pull");
  return { emptyDir: volume?.emptyDir, pull: pull?.resources };
}

describe("the limits of a model of 1 GiB", () => {
  it("let the volume hold it twice, and the pod ten GiB beside", () => {
    expect(render(GIB)).toEqual({
      emptyDir: { sizeLimit: "2112Mi" },
      pull: {
        requests: { cpu: "50m", memory: "128Mi", "ephemeral-storage": "1024Mi" },
        limits: { memory: "512Mi", "ephemeral-storage": "12352Mi" },
      },
    });
  });

  it("give way to those of spec.podTemplate", () => {
    const made = render(GIB, {
      spec: {
        initContainers: [{ name: "model-pull", resources: { limits: { memory: "1Gi" } } }],
        volumes: [{ name: "model", emptyDir: { sizeLimit: "50Gi" } }],
      },
    });
    expect(made.emptyDir).toEqual({ sizeLimit: "50Gi" });
    expect(made.pull?.limits).toMatchObject({ memory: "1Gi" });
  });

  it("are removed by null", () => {
    const made = render(GIB, {
      spec: {
        initContainers: [{ name: "model-pull", resources: { limits: null } }],
        volumes: [{ name: "model", emptyDir: { sizeLimit: null } }],
      },
    });
    expect(made.emptyDir).toEqual({});
    expect(made.pull).not.toHaveProperty("limits");
  });

  it("do not count a volume in memory as the memory of the container that fills it", () => {
    const medium = "Memory";
    const made = render(GIB, { spec: { volumes: [{ name: "model", emptyDir: { medium } }] } });
    expect(made.emptyDir).toEqual({ medium, sizeLimit: "2112Mi" });
    expect(made.pull).toEqual({ requests: { cpu: "50m", memory: "128Mi" } });
  });
});

it.each([
  ["no byte", 0],
  ["one byte", 1],
  ["as many bytes as a number holds", Number.MAX_SAFE_INTEGER],
])(
  "a manifest that claims %s gets limits that the API server takes, of 3 TiB at most",
  (_, claimed) => {
    // prettier-ignore
    const { emptyDir, pull } = render(claimed);
    const limits = [
      Reflect.get(Object(emptyDir), "sizeLimit"),
      ...Object.values({ ...pull?.limits }),
    ];
    for (const limit of [...limits, ...Object.values({ ...pull?.requests })]) {
      const nanos = nanosOf(String(limit)) ?? 0n;
      expect(nanos).toBeGreaterThan(0n);
      expect(nanos).toBeLessThan(3n * 2n ** 40n * 10n ** 9n);
    }
  },
);

it("a release whose record does not say the size of its model gets no limits", () => {
  expect(render(undefined)).toEqual({
    emptyDir: {},
    pull: { requests: { cpu: "50m", memory: "128Mi" } },
  });
});
