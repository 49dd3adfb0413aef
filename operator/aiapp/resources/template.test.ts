import { describe, expect, it } from "vitest";

import { labels } from "../../../crds/names.ts";
import type { V1Container, V1PodTemplateSpec } from "../../kube/types.ts";
import { aiapp, digestOf, puller, type SpecInput } from "../observed.testing.ts";
import { releaseOf, type Pair } from "../release/identity.ts";
import { buildDeployment } from "./deployment.ts";
import { buildPodDisruptionBudget } from "./availability.ts";
import { buildService } from "./service.ts";
import { renderTemplate } from "./template.ts";

type PodSpec = NonNullable<V1PodTemplateSpec["spec"]>;

const pair: Pair = {
  image: "example.azurecr.io/cats:1",
  imageDigest: digestOf("image 1"),
  modelVersion: "7",
  modelDigest: digestOf("model 7"),
};
const image = `example.azurecr.io/cats@${pair.imageDigest}`;

function template(spec: SpecInput = {}, settings = puller): V1PodTemplateSpec {
  const app = aiapp(spec);
  return renderTemplate(app, releaseOf(app.spec, pair), settings);
}

function pod(spec: SpecInput = {}, settings = puller): PodSpec {
  const { spec: made } = template(spec, settings);
  if (made === undefined) throw new Error("a template without a spec");
  return made;
}

function containers(made: PodSpec): { server: V1Container; pull: V1Container } {
  const server = made.containers.find(({ name }) => name === "server");
  const pull = made.initContainers?.find(({ name }) => name === "model-pull");
  if (server === undefined || pull === undefined) throw new Error("a container is missing");
  return { server, pull };
}

/** Values by name; what comes from elsewhere as it is. */
function environment({ env = [] }: V1Container): Record<string, unknown> {
  return Object.fromEntries(env.map(({ name, value, valueFrom }) => [name, value ?? valueFrom]));
}

describe("a pod", () => {
  it("meets the restricted Pod Security Standard", () => {
    const made = pod();
    expect(made.securityContext).toEqual({
      runAsNonRoot: true,
      seccompProfile: { type: "RuntimeDefault" },
    });
    for (const { securityContext } of Object.values(containers(made))) {
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ["ALL"] },
        readOnlyRootFilesystem: true,
      });
    }
  });

  it("is given no token for the API server, and no addresses of other Services", () => {
    expect(pod()).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      serviceAccountName: "cats",
    });
    expect(pod({ serviceAccountName: "theirs" }).serviceAccountName).toBe("theirs");
  });

  it("runs the code image by digest, with what it serves in its environment", () => {
    const { server } = containers(pod());
    expect(server.image).toBe(image);
    expect(environment(server)).toMatchObject({
      MODEL_DIR: "/models",
      MODEL_NAME: "cats",
      MODEL_VERSION: "7",
      MODEL_DIGEST: pair.modelDigest,
      PORT: "8080",
      AIAPP_RELEASE: { fieldRef: { fieldPath: "metadata.labels['aiapp.dev/release']" } },
    });
  });

  it("takes no traffic before it is ready, and may take minutes to load", () => {
    const { server } = containers(pod());
    const { startupProbe, readinessProbe, livenessProbe } = server;
    expect(startupProbe?.httpGet).toEqual({ path: "/v2/health/ready", port: "http" });
    expect((startupProbe?.periodSeconds ?? 0) * (startupProbe?.failureThreshold ?? 0)).toBe(600);
    expect(readinessProbe?.httpGet).toEqual({ path: "/v2/health/ready", port: "http" });
    expect(livenessProbe?.httpGet).toEqual({ path: "/v2/health/live", port: "http" });
  });

  it("keeps serving after SIGTERM until the Service has stopped sending requests", () => {
    const made = pod();
    const sleep = containers(made).server.lifecycle?.preStop?.sleep?.seconds ?? 0;
    expect(sleep).toBeGreaterThan(0);
    expect(made.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(sleep + 50);
  });

  it("may be of a server with a port and paths of its own", () => {
    const server = { port: 9000, readinessPath: "/ready", livenessPath: "/alive" };
    const made = containers(pod({ server })).server;
    expect(made.ports).toEqual([{ name: "http", containerPort: 9000, protocol: "TCP" }]);
    expect(environment(made)["PORT"]).toBe("9000");
    expect(made.readinessProbe?.httpGet?.path).toBe("/ready");
    expect(made.livenessProbe?.httpGet?.path).toBe("/alive");
  });

  it("listens for gRPC only where the Service has a port for it", () => {
    const plain = containers(pod({ service: { port: 9000 } })).server;
    expect(plain.ports).toEqual([{ name: "http", containerPort: 8080, protocol: "TCP" }]);
    expect(environment(plain)).not.toHaveProperty("GRPC_PORT");
    const { server } = containers(pod({ service: { grpcPort: 443 } }));
    expect(server.ports).toEqual([
      { name: "http", containerPort: 8080, protocol: "TCP" },
      { name: "grpc", containerPort: 9000, protocol: "TCP" },
    ]);
    expect(environment(server)).toMatchObject({ PORT: "8080", GRPC_PORT: "9000" });
  });

  it("listens for gRPC on the port of the server", () => {
    const spec = { service: { grpcPort: 9000 }, server: { port: 8000, grpcPort: 8001 } };
    const { server } = containers(pod(spec));
    expect(server.ports).toEqual([
      { name: "http", containerPort: 8000, protocol: "TCP" },
      { name: "grpc", containerPort: 8001, protocol: "TCP" },
    ]);
    expect(environment(server)).toMatchObject({ PORT: "8000", GRPC_PORT: "8001" });
  });

  it("has a GRPC_PORT of the spec alone as it is, and no port for it", () => {
    const { server } = containers(pod({ env: [{ name: "GRPC_PORT", value: "9001" }] }));
    expect(environment(server)["GRPC_PORT"]).toBe("9001");
    expect(server.ports).toEqual([{ name: "http", containerPort: 8080, protocol: "TCP" }]);
  });

  it("is spread over nodes, yet not held back by it", () => {
    expect(pod().topologySpreadConstraints).toMatchObject([
      { topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "ScheduleAnyway" },
    ]);
  });

  it("has the resources of the spec over the default ones, numbers included", () => {
    const { server } = containers(
      pod({ resources: { requests: { cpu: 2, "nvidia.com/gpu": 1 }, limits: { memory: "1Gi" } } }),
    );
    expect(server.resources).toEqual({
      requests: { cpu: "2", memory: "256Mi", "nvidia.com/gpu": "1" },
      limits: { memory: "1Gi" },
    });
  });

  it("takes the environment of the spec over our own, each name once", () => {
    const valueFrom = { configMapKeyRef: { name: "settings", key: "level" } };
    const { server } = containers(
      pod({
        env: [
          { name: "PORT", value: "1" },
          { name: "LEVEL", valueFrom },
        ],
      }),
    );
    const names = server.env?.map(({ name }) => name) ?? [];
    expect(names).toHaveLength(new Set(names).size);
    expect(environment(server)).toMatchObject({ PORT: "1", LEVEL: valueFrom });
  });

  it("mounts the model to read only, and single files of it where the code expects them", () => {
    const files = [{ name: "weights/cats.onnx", mountPath: "/app/model.onnx" }];
    const model = { store: "https://a.blob.core.windows.net/models", name: "cats", files };
    expect(containers(pod({ model })).server.volumeMounts).toEqual([
      { name: "model", mountPath: "/models", readOnly: true },
      { name: "tmp", mountPath: "/tmp" },
      {
        name: "model",
        mountPath: "/app/model.onnx",
        subPath: "weights/cats.onnx",
        readOnly: true,
      },
    ]);
  });
});

describe("the init container", () => {
  it("pulls the very model of the pair with the operator's image", () => {
    const { pull } = containers(pod());
    expect(pull.image).toBe(puller.image);
    expect(pull.volumeMounts).toEqual([{ name: "model", mountPath: "/models" }]);
    expect(environment(pull)).toEqual({
      MODEL_STORE: "https://models.blob.core.windows.net/models",
      MODEL_NAME: "cats",
      MODEL_VERSION: "7",
      MODEL_DIGEST: pair.modelDigest,
      MODEL_DIR: "/models",
      STORAGE_IDENTITY: "Workload",
    });
  });

  it("passes on the operator's configuration of hosts and authorities", () => {
    const settings = {
      ...puller,
      azureStorageSuffixes: [".blob.example", ".blob.example.org"],
      insecureHosts: ["store.example:10000"],
      caBundle: "-----BEGIN CERTIFICATE-----",
    };
    expect(environment(containers(pod({}, settings)).pull)).toMatchObject({
      AZURE_STORAGE_SUFFIXES: ".blob.example,.blob.example.org",
      INSECURE_HOSTS: "store.example:10000",
      CA_BUNDLE: "-----BEGIN CERTIFICATE-----",
    });
  });

  it("has workload identity unless something else is said", () => {
    const label = "azure.workload.identity/use";
    expect(template().metadata?.labels?.[label]).toBe("true");
    for (const credentials of [{ storage: "login" }, { anonymous: ["Storage" as const] }]) {
      expect(template({ credentials }).metadata?.labels ?? {}).not.toHaveProperty([label]);
    }
    const { pull } = containers(pod({ credentials: { anonymous: ["Storage"] } }));
    expect(environment(pull)["STORAGE_IDENTITY"]).toBe("Anonymous");
  });
});

describe("secrets", () => {
  const made = pod({ credentials: { storage: "login", registry: "pull" } });

  it("reach the container that pulls by reference only", () => {
    const reference = (key: string): unknown => ({
      secretKeyRef: { name: "login", key, optional: true },
    });
    expect(environment(containers(made).pull)).toMatchObject({
      STORAGE_IDENTITY: "Secret",
      STORAGE_ACCOUNT_NAME: reference("accountName"),
      STORAGE_ACCOUNT_KEY: reference("accountKey"),
      STORAGE_SAS_TOKEN: reference("sasToken"),
    });
  });

  it("do not reach the code image", () => {
    const text = JSON.stringify(containers(made).server);
    expect(text).not.toContain("secretKeyRef");
    expect(text).not.toContain("login");
  });

  it("of the registry are what the kubelet pulls with, after those that the spec names", () => {
    expect(made.imagePullSecrets).toEqual([{ name: "pull" }]);
    const both = { credentials: { registry: "pull" }, imagePullSecrets: [{ name: "other" }] };
    expect(pod(both).imagePullSecrets).toEqual([{ name: "other" }, { name: "pull" }]);
    const twice = { credentials: { registry: "pull" }, imagePullSecrets: [{ name: "pull" }] };
    expect(pod(twice).imagePullSecrets).toEqual([{ name: "pull" }]);
    expect(pod()).not.toHaveProperty("imagePullSecrets");
  });
});

describe("the spec's podTemplate", () => {
  it("is merged over what we make", () => {
    const podTemplate = {
      metadata: { labels: { team: "cats" }, annotations: { "prometheus.io/scrape": "true" } },
      spec: {
        priorityClassName: "high",
        containers: [
          { name: "server", env: [{ name: "LEVEL", value: "info" }] },
          { name: "proxy", image: "proxy:1" },
        ],
        volumes: [{ name: "tmp", emptyDir: { sizeLimit: "1Gi" } }],
      },
    };
    const { metadata, spec } = template({ podTemplate });
    expect(metadata?.labels).toMatchObject({ team: "cats" });
    expect(metadata?.annotations).toEqual({
      "prometheus.io/scrape": "true",
      "aiapp.dev/model-version": "7",
    });
    expect(spec?.priorityClassName).toBe("high");
    expect(spec?.containers.map(({ name }) => name)).toEqual(["server", "proxy"]);
    expect(spec?.containers[0]).toMatchObject({ image });
    expect(spec?.volumes).toContainEqual({ name: "tmp", emptyDir: { sizeLimit: "1Gi" } });
  });

  it("cannot take the labels that say whose pod it is and whether it takes traffic", () => {
    const taken = {
      [labels.app]: "dogs",
      [labels.role]: "candidate",
      [labels.traffic]: "false",
      [labels.release]: "0000000000",
      [labels.managedBy]: "kubectl",
      [labels.name]: "dogs",
    };
    for (const change of [{ labels: taken }, { labels: null }, null]) {
      const app = aiapp({ podTemplate: { metadata: change } });
      const release = releaseOf(app.spec, pair);
      const template = renderTemplate(app, release, puller);
      const memory = { revision: 1, journal: [], request: "", stored: undefined };
      const record = { ...release, template, ...memory };
      const { spec } = buildDeployment(app, "stable", record, 1);
      const worn = spec?.template.metadata?.labels;
      expect(worn).toMatchObject({
        ...spec?.selector.matchLabels,
        ...buildService(app, "stable").spec?.selector,
        ...buildPodDisruptionBudget(app, "stable").spec?.selector?.matchLabels,
        [labels.role]: "stable",
        [labels.traffic]: "true",
        [labels.release]: release.id,
        [labels.managedBy]: "aiapp-operator",
        [labels.name]: "cats",
      });
    }
  });
});
