import { describe, expect, it } from "vitest";

import type { V1Container } from "../../kube/types.ts";
import { aiapp, digestOf, puller, type SpecInput } from "../observed.testing.ts";
import { releaseOf } from "../release/identity.ts";
import { renderTemplate } from "./template.ts";
import { buildVerification } from "./verification.ts";

function job(spec: SpecInput = {}): ReturnType<typeof buildVerification> {
  const app = aiapp({ verify: {}, ...spec });
  const release = releaseOf(app.spec, {
    image: "example.azurecr.io/cats:1",
    imageDigest: digestOf("image 1"),
    modelVersion: "7",
    modelDigest: digestOf("model 7"),
  });
  const template = renderTemplate(app, release, puller);
  const memory = { revision: 1, journal: [], request: undefined, stored: undefined };
  return buildVerification(
    app,
    { record: { ...release, template, ...memory }, attempt: 2 },
    puller,
  );
}

function pod(spec: SpecInput = {}) {
  const found = job(spec).spec?.template.spec;
  if (found === undefined) throw new Error("a Job without a pod");
  return found;
}

const names = (all: readonly V1Container[] | undefined): readonly string[] =>
  (all ?? []).map(({ name }) => name);
const environment = ({ env = [] }: V1Container): Record<string, unknown> =>
  Object.fromEntries(env.map(({ name, value, valueFrom }) => [name, value ?? valueFrom]));

describe("the Job that verifies a release", () => {
  it("runs the release's own pod, as no pod that the Service selects", () => {
    const { metadata, spec } = job();
    expect(metadata).toMatchObject({
      name: "cats-verify",
      annotations: { "aiapp.dev/attempt": "2" },
    });
    expect(spec?.template.metadata?.labels).toMatchObject({
      "aiapp.dev/app": "cats",
      "aiapp.dev/role": "verification",
      "aiapp.dev/traffic": "false",
    });
    expect(spec).toMatchObject({ backoffLimit: 0, template: { spec: { restartPolicy: "Never" } } });
  });

  it("starts the model's pull, the server as a sidecar, then the samples", () => {
    const { initContainers, containers } = pod();
    expect(names(initContainers)).toEqual(["model-pull", "server"]);
    expect(initContainers?.[1]).toMatchObject({ restartPolicy: "Always" });
    expect(initContainers?.[1]?.startupProbe).toBeUndefined();
    expect(initContainers?.[1]?.livenessProbe).toBeUndefined();
    expect(initContainers?.[1]?.lifecycle).toBeUndefined();
    expect(names(containers)).toEqual(["samples"]);
    expect(environment(containers[0] as V1Container)).toMatchObject({
      SCORE_URL: "http://127.0.0.1:8080/score",
      READY_URL: "http://127.0.0.1:8080/v2/health/ready",
      VERIFY_SAMPLES: "true",
      TIMEOUT_SECONDS: "545",
      POD_IP: { fieldRef: { fieldPath: "status.podIP" } },
    });
  });

  it("serves gRPC where the pods of the release will", () => {
    const { initContainers } = pod({ service: { grpcPort: 9000 }, server: { grpcPort: 8001 } });
    const server = initContainers?.[1] as V1Container;
    expect(server.ports?.[1]).toEqual({ name: "grpc", containerPort: 8001, protocol: "TCP" });
    expect(environment(server)["GRPC_PORT"]).toBe("8001");
  });

  it("keeps a startup probe of the user's own: the samples start after it", () => {
    const startupProbe = { exec: { command: ["/warm-up"] } };
    const podTemplate = {
      spec: { containers: [{ name: "server", startupProbe: { ...startupProbe, httpGet: null } }] },
    };
    const server = pod({ podTemplate }).initContainers?.[1];
    expect(server?.startupProbe).toMatchObject(startupProbe);
    expect(server?.livenessProbe).toBeDefined();
  });

  it("runs the user's own container last, beside the server, with its address", () => {
    const { initContainers, containers } = pod({
      verify: { job: { image: "tests:1", args: ["--all"], env: [{ name: "LEVEL", value: "1" }] } },
      server: { port: 88, readinessPath: "/", livenessPath: "/" },
    });
    expect(names(initContainers)).toEqual(["model-pull", "server", "samples"]);
    expect(containers).toMatchObject([{ name: "verify", image: "tests:1", args: ["--all"] }]);
    expect(environment(containers[0] as V1Container)).toMatchObject({
      AIAPP_URL: "http://127.0.0.1:88",
      LEVEL: "1",
    });
  });

  it.each([
    { spec: { verify: { samples: false } }, url: "" },
    { spec: { server: { port: 88 } }, url: "" },
    { spec: { server: { port: 88, scorePath: "/predict" } }, url: "http://127.0.0.1:88/predict" },
  ] satisfies readonly { spec: SpecInput; url: string }[])(
    "posts samples only where the server takes them ($url)",
    ({ spec, url }) => {
      expect(environment(pod(spec).containers[0] as V1Container)["SCORE_URL"]).toBe(url);
    },
  );

  it("counts its deadline from when the pod has a node", () => {
    expect(pod({ verify: { timeout: "90s" } }).activeDeadlineSeconds).toBe(90);
    expect(job().spec?.activeDeadlineSeconds).toBeUndefined();
  });

  it("keeps every other container of the pod as a sidecar that starts before the server", () => {
    const podTemplate = { spec: { containers: [{ name: "proxy", image: "proxy:1" }] } };
    const { initContainers } = pod({ podTemplate });
    expect(names(initContainers)).toEqual(["model-pull", "proxy", "server"]);
    expect(initContainers?.[1]).toMatchObject({ restartPolicy: "Always" });
  });
});
