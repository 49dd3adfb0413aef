import { globSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startApiServer, type ApiServer } from "../support/apiserver.ts";
import { installCrds } from "../support/crds.ts";

/** The CustomResourceDefinitions on a real API server: what it takes, what it refuses, and with which words. */

const root = join(import.meta.dirname, "..", "..");
const CRDS = [
  "aiapps.aiapp.dev",
  "aiappreleasefreezes.aiapp.dev",
  "aiappsourcepolicies.aiapp.dev",
] as const;
let server: ApiServer;

beforeAll(async () => {
  server = await startApiServer();
  await installCrds(server, CRDS);
});
afterAll(() => server.close());

type Fields = Readonly<Record<string, unknown>>;

const valid = {
  image: "contoso.azurecr.io/cats:1.4",
  modelVersion: "7",
  model: { store: "https://contoso.blob.core.windows.net/models", name: "cats" },
} as const;

function app(spec: Fields, metadata: Fields = {}): string {
  return JSON.stringify({
    apiVersion: "aiapp.dev/v1alpha1",
    kind: "AIApp",
    metadata: { name: "cats", namespace: "default", ...metadata },
    spec: { ...valid, ...spec },
  });
}

/** As `kubectl apply --dry-run=server` does: everything but the writing. */
async function dryRun(manifest: string): Promise<{ spec: Fields; status?: Fields }> {
  const text = await server.kubectl(
    ["create", "--dry-run=server", "--output", "json", "--validate=strict", "--filename", "-"],
    manifest,
  );
  return JSON.parse(text) as { spec: Fields; status?: Fields };
}

const model = (fields: Fields): Fields => ({ model: { ...valid.model, ...fields } });

describe("the API server takes", () => {
  it.each<[string, Fields]>([
    ["the least that there can be", {}],
    ["a version as a number", { modelVersion: 7 }],
    ["latest", { modelVersion: "latest" }],
    ["a range", { modelVersion: ">=7 <8" }],
    ["a semantic version", { modelVersion: "1.4.0-rc.1+build" }],
    ["a date", { modelVersion: "2026-03-01" }],
    ["a pinned digest", { image: `contoso.azurecr.io/cats@sha256:${"a".repeat(64)}` }],
    ["a range of tags", { image: "contoso.azurecr.io/cats", imagePolicy: { semver: ">=1.4 <2" } }],
    ["a pattern of tags", { imagePolicy: { pattern: "main-[0-9a-f]+-([0-9]+)" } }],
    ["a tag and a digest", { image: `contoso.azurecr.io/cats:1@sha256:${"a".repeat(64)}` }],
    ["a registry with a port", { image: "registry.local:5000/team/cats:1" }],
    ["an interval of hours and minutes", { interval: "1h30m" }],
    ["replicas", { replicas: 0 }],
    ["autoscaling", { autoscaling: { minReplicas: 2, maxReplicas: 5, targetCPUUtilization: 80 } }],
    ["a model in a folder of folders", model({ name: "team/cats" })],
    ["single files", model({ files: [{ name: "model.onnx", mountPath: "/app/model.onnx" }] })],
    ["quantities as numbers", { resources: { limits: { cpu: 2, memory: "1Gi" } } }],
    ["a fraction without quotes", { resources: { requests: { cpu: 0.1, memory: 1.5e9 } } }],
    [
      "quantities in each form",
      {
        resources: {
          limits: { a: "100m", b: ".5", c: "1.5Gi", d: "1e3", e: "12E", f: "7.", g: 0 },
        },
      },
    ],
    [
      "environment from a Secret",
      { env: [{ name: "KEY", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }] },
    ],
    ["a pod template of any kind", { podTemplate: { spec: { priorityClassName: "high" } } }],
    ["a Secret for storage", { credentials: { storage: "storage", registry: "registry" } }],
    ["anonymous reads, said aloud", { credentials: { anonymous: ["Registry", "Storage"] } }],
    [
      "releases in a window, settled, approved and verified by a job",
      {
        release: {
          schedule: "0 2 * * 1-5",
          timeZone: "Europe/Berlin",
          duration: "2h",
          settle: "5m",
          minAge: "24h",
          approval: "Manual",
          onFailure: "Keep",
        },
        verify: { timeout: "30m", job: { image: "tests:1", args: ["--all"] } },
        rollout: { progressDeadline: "20m" },
        server: { port: 88, scorePath: "/predict" },
      },
    ],
    ["releases of which no copy is kept", { release: { keep: "Never" } }],
    [
      "labels and annotations for all that is owned",
      {
        labels: {
          team: "vision",
          "app.kubernetes.io/part-of": "shop",
          "example.com/cost-centre": "",
        },
        annotations: { "example.com/runbook": "https://example.com/?a=1 b" },
      },
    ],
    [
      "a switch that keeps the previous pods for hours",
      { rollout: { strategy: "BlueGreen", keepPrevious: "4h" } },
    ],
    [
      "a canary in steps",
      {
        rollout: {
          strategy: "Canary",
          canary: {
            steps: [
              { weight: 5, pause: "1m" },
              { weight: 50, pause: "10m" },
            ],
          },
        },
      },
    ],
    ["a port for gRPC", { service: { grpcPort: 9000 } }],
    [
      "a port for gRPC of a server with its own ports",
      { service: { port: 8000, grpcPort: 8001 }, server: { port: 8000, grpcPort: 8001 } },
    ],
    [
      "a port for gRPC that metrics have by default, once they have another one",
      {
        service: { grpcPort: 9090 },
        server: { grpcPort: 9090 },
        env: [{ name: "METRICS_PORT", value: "9091" }],
      },
    ],
    ["GRPC_PORT without a port of the Service", { env: [{ name: "GRPC_PORT", value: "9000" }] }],
    ["the port for gRPC as that for HTTP, without gRPC", { server: { port: 9000 } }],
    ["a DNS label on AKS", { service: { azureDNSLabel: "cats", type: "LoadBalancer" } }],
    [
      "ranges of addresses that the load balancer accepts",
      { service: { loadBalancerSourceRanges: ["203.0.113.0/24", "2001:db8::/32", "0.0.0.0/0"] } },
    ],
  ])("%s", async (_, spec) => {
    await expect(dryRun(app(spec))).resolves.toMatchObject({ kind: "AIApp" });
  });

  const examples = globSync("examples/{digits,iris}/*.yaml", { cwd: root });
  it.each(examples.toSorted())("%s", async (file) => {
    const manifest = await readFile(join(root, file), "utf8");
    await expect(dryRun(manifest)).resolves.toMatchObject({ kind: "AIApp" });
  });

  const page = readFileSync(join(root, "docs/reference/aiapp.md"), "utf8");
  const fragments = [...page.matchAll(/^```yaml\n(.*?)^```/gms)]
    .map(([, text = ""]) => text)
    .filter((text) => !text.startsWith("apiVersion"));
  it.each(fragments)("what its page says of a spec:\n%s", async (text) => {
    // As text: what Kubernetes reads as a boolean, a test that parses it might not.
    const names = [...text.matchAll(/^\w+/gm)].map(([name]) => name);
    const rest = Object.entries(valid).filter(([name]) => !names.includes(name));
    const others = rest.map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`).join("");
    const spec = (others + text).replaceAll(/^(?=.)/gm, "  ");
    const { spec: taken } = await dryRun(
      `apiVersion: aiapp.dev/v1alpha1\nkind: AIApp\nmetadata: { name: cats, namespace: default }\nspec:\n${spec}`,
    );
    expect(Object.keys(taken)).toEqual(expect.arrayContaining(names));
  });
});

describe("the API server rejects, and says how to fix it", () => {
  it.each<[string, Fields, RegExp]>([
    [
      "an image without tag",
      { image: "contoso.azurecr.io/cats" },
      /image must end in a tag \(:1\.4\) or a digest/,
    ],
    [
      "a policy and a pinned digest",
      {
        image: `contoso.azurecr.io/cats@sha256:${"a".repeat(64)}`,
        imagePolicy: { semver: ">=1" },
      },
      /imagePolicy and a pinned digest exclude each other: remove one/,
    ],
    [
      "a policy of two kinds",
      { imagePolicy: { semver: ">=1", pattern: "v([0-9]+)" } },
      /imagePolicy must hold either semver or pattern/,
    ],
    ["a policy of none", { imagePolicy: {} }, /imagePolicy must hold either semver or pattern/],
    [
      "a pattern without a number in it",
      { imagePolicy: { pattern: "main-.*" } },
      /pattern must hold one group, around the number/,
    ],
    [
      "a pattern that is none",
      { imagePolicy: { pattern: "main-([0-9]+" } },
      /spec\.imagePolicy\.pattern.*missing closing \)/,
    ],
    [
      "an image without registry",
      { image: "cats:1" },
      /image must name a registry, a repository and a tag or digest/,
    ],
    [
      "an image with a scheme",
      { image: "https://contoso.azurecr.io/cats:1" },
      /image must name a registry/,
    ],
    ["an image with a shell in it", { image: "contoso.azurecr.io/cats:$(id)" }, /image must/],
    [
      "a version that climbs",
      { modelVersion: "../7" },
      /modelVersion must be a version folder \(7, 1\.4\.0, 2026-03-01\), latest, or a range/,
    ],
    ["a version below zero", { modelVersion: -1 }, /modelVersion must be a version folder/],
    ["an empty version", { modelVersion: "" }, /modelVersion must be a version folder/],
    ["a store that is no URL", model({ store: "models" }), /spec\.model\.store.*should match/],
    [
      "a store that ends in a slash",
      model({ store: "https://a.blob.core.windows.net/models/" }),
      /store must not end in '\/'/,
    ],
    [
      "a token in the store's URL",
      model({ store: "https://a.blob.core.windows.net/models?sig=x" }),
      /spec\.model\.store/,
    ],
    ["a model that climbs", model({ name: "../cats" }), /spec\.model\.name/],
    [
      "a file that climbs",
      model({ files: [{ name: "../x", mountPath: "/x" }] }),
      /name must be a path inside the bundle|spec\.model\.files/,
    ],
    ["a relative mount path", model({ files: [{ name: "x", mountPath: "x/y" }] }), /mountPath/],
    ["an interval of nothing", { interval: "0s" }, /interval must be between 1s and 24h/],
    ["an interval of days", { interval: "48h" }, /interval must be between 1s and 24h/],
    ["an interval that is none", { interval: "often" }, /spec\.interval/],
    [
      "replicas and autoscaling",
      { replicas: 2, autoscaling: { maxReplicas: 3 } },
      /replicas and autoscaling exclude each other: remove one/,
    ],
    ["replicas below zero", { replicas: -1 }, /greater than or equal to 0/],
    [
      "more at least than at most",
      { autoscaling: { minReplicas: 5, maxReplicas: 2 } },
      /minReplicas must not be above maxReplicas/,
    ],
    [
      "a Secret and anonymous storage",
      { credentials: { storage: "s", anonymous: ["Storage"] } },
      /credentials\.storage and anonymous Storage exclude each other: remove one/,
    ],
    [
      "a Secret and anonymous registry",
      { credentials: { registry: "s", anonymous: ["Registry"] } },
      /credentials\.registry and anonymous Registry exclude each other/,
    ],
    ["an unknown strategy", { rollout: { strategy: "Shadow" } }, /supported values: "Rolling"/],
    [
      "a canary without steps",
      { rollout: { strategy: "Canary" } },
      /rollout\.canary\.steps need each other: set both, or remove both/,
    ],
    [
      "a time zone without a schedule",
      { release: { timeZone: "Europe/Berlin" } },
      /release\.timeZone and release\.duration need release\.schedule: set it, or remove them/,
    ],
    [
      "a window of zero length",
      { release: { schedule: "0 2 * * *", duration: "0s" } },
      /release\.duration must be between 1m and 168h/,
    ],
    [
      "an address that is no range",
      { service: { loadBalancerSourceRanges: ["203.0.113.7"] } },
      /a range of addresses must be written as 203\.0\.113\.0\/24/,
    ],
    [
      "a range of an address that does not exist",
      { service: { loadBalancerSourceRanges: ["203.0.113.256/24"] } },
      /a range of addresses must be written as 203\.0\.113\.0\/24/,
    ],
    [
      "ranges of addresses without a load balancer",
      { service: { type: "ClusterIP", loadBalancerSourceRanges: ["203.0.113.0/24"] } },
      /loadBalancerSourceRanges needs type LoadBalancer: remove it, or use a NetworkPolicy/,
    ],
    ...[{ grpcPort: 80 }, { port: 9000, grpcPort: 9000 }].map(
      (service): [string, Fields, RegExp] => [
        `one port of the Service for gRPC and HTTP: ${JSON.stringify(service)}`,
        { service },
        /spec\.service\.grpcPort.*service\.grpcPort must be another port than service\.port/,
      ],
    ),
    [
      "a port for gRPC that is none",
      { service: { grpcPort: 0 } },
      /spec\.service\.grpcPort.*greater than or equal to 1/,
    ],
    [
      "a server's port for gRPC that the Service lacks",
      { server: { grpcPort: 8001 } },
      /server\.grpcPort needs service\.grpcPort: set it, or remove server\.grpcPort/,
    ],
    ...[{ port: 9000 }, { grpcPort: 8080 }, { port: 8001, grpcPort: 8001 }].map(
      (server): [string, Fields, RegExp] => [
        `one port of the server for gRPC and HTTP: ${JSON.stringify(server)}`,
        { service: { grpcPort: 50_051 }, server },
        /the server needs different ports for gRPC and HTTP: set server\.grpcPort \(9000 unless set\)/,
      ],
    ),
    ...[
      { server: { grpcPort: 9090 } },
      { env: [{ name: "METRICS_PORT", value: "9000" }] },
      { server: { grpcPort: 8001 }, env: [{ name: "METRICS_PORT", value: "8001" }] },
    ].map((spec): [string, Fields, RegExp] => [
      `one port for gRPC and metrics: ${JSON.stringify(spec)}`,
      { service: { grpcPort: 9000 }, ...spec },
      /the server needs different ports for gRPC and metrics: .*METRICS_PORT in env \(9090 unless set\)/,
    ]),
    [
      "GRPC_PORT twice",
      { service: { grpcPort: 9000 }, env: [{ name: "GRPC_PORT", value: "9000" }] },
      /spec\.env.*service\.grpcPort sets GRPC_PORT: remove it from env/,
    ],
    ["a settling of days", { release: { settle: "48h" } }, /release\.settle must be at most 24h/],
    [
      "a verification of no time",
      { verify: { timeout: "1s" } },
      /verify\.timeout must be between 10s and 24h/,
    ],
    ["a verification job without an image", { verify: { job: {} } }, /spec\.verify\.job\.image/],
    [
      "a progress deadline of no time",
      { rollout: { progressDeadline: "1s" } },
      /rollout\.progressDeadline must be between 10s and 24h/,
    ],
    [
      "a verification in place beside a second set",
      { verify: { placement: "InPlace" }, rollout: { strategy: "BlueGreen" } },
      /verify\.placement InPlace needs rollout\.strategy Rolling/,
    ],
    [
      "a canary without steps",
      { rollout: { strategy: "Canary" } },
      /rollout\.strategy Canary and rollout\.canary\.steps need each other/,
    ],
    [
      "steps without a canary",
      { rollout: { canary: { steps: [{ weight: 10, pause: "1m" }] } } },
      /rollout\.strategy Canary and rollout\.canary\.steps need each other/,
    ],
    ...[
      [50, 10],
      [10, 10],
    ].map((weights): [string, Fields, RegExp] => [
      `steps of ${weights.join(", then ")} percent`,
      {
        rollout: {
          strategy: "Canary",
          canary: { steps: weights.map((weight) => ({ weight, pause: "1m" })) },
        },
      },
      /the weights of rollout\.canary\.steps must rise/,
    ]),
    [
      "a step of most requests",
      { rollout: { strategy: "Canary", canary: { steps: [{ weight: 90, pause: "1m" }] } } },
      /less than or equal to 50/,
    ],
    [
      "a step of no time",
      { rollout: { strategy: "Canary", canary: { steps: [{ weight: 10, pause: "0s" }] } } },
      /pause must be between 10s and 24h/,
    ],
    [
      "a kept set without a switch",
      { rollout: { keepPrevious: "5m" } },
      /rollout\.keepPrevious needs rollout\.strategy BlueGreen/,
    ],
    [
      "a set that is kept for months",
      { rollout: { strategy: "BlueGreen", keepPrevious: "2000h" } },
      /rollout\.keepPrevious must be between 0s and 168h/,
    ],
    ["an approval of no kind", { release: { approval: "Maybe" } }, /supported values: "Automatic"/],
    ["a relative score path", { server: { scorePath: "score" } }, /spec\.server\.scorePath/],
    ["a port that is none", { server: { port: 70_000 } }, /less than or equal to 65535/],
    [
      "labels that the operator selects by",
      { labels: { "aiapp.dev/role": "stable" } },
      /labels must not have keys that the operator or Kubernetes sets/,
    ],
    [
      "labels that name another owner",
      { labels: { "app.kubernetes.io/managed-by": "me" } },
      /labels must not have keys/,
    ],
    [
      "labels by which a Deployment finds its pods",
      { labels: { "pod-template-hash": "1" } },
      /labels must not have keys/,
    ],
    [
      "a label without a name",
      { labels: { "example.com/": "x" } },
      /the keys of labels must be names such as team or example\.com\/team/,
    ],
    ["a label value with a space", { labels: { team: "a b" } }, /spec\.labels\.team.*should match/],
    [
      "more labels than fit",
      { labels: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`l${at}`, ""])) },
      /spec\.labels.*must have at most 32 items/,
    ],
    [
      "annotations that the operator reads",
      { annotations: { "aiapp.dev/applied": "x" } },
      /annotations must not have keys/,
    ],
    [
      "a quantity that is none",
      { resources: { limits: { cpu: "two" } } },
      /spec\.resources\.limits\.cpu.*should match/,
    ],
    [
      "a quantity below zero",
      { resources: { limits: { cpu: -0.5 } } },
      /spec\.resources\.limits\.cpu.*greater than or equal to 0/,
    ],
    [
      "true as a quantity",
      { resources: { limits: { cpu: true } } },
      /spec\.resources\.limits\.cpu/,
    ],
    [
      "a list as a quantity",
      { resources: { limits: { cpu: [] } } },
      /spec\.resources\.limits\.cpu/,
    ],
    [
      "an object as a quantity",
      { resources: { limits: { cpu: {} } } },
      /spec\.resources\.limits\.cpu/,
    ],
    ["a field that there is not", { modelversion: "7" }, /unknown field "spec\.modelversion"/],
    [
      "the same variable twice",
      {
        env: [
          { name: "A", value: "1" },
          { name: "A", value: "2" },
        ],
      },
      /Duplicate value/,
    ],
  ])("%s", async (_, spec, message) => {
    await expect(dryRun(app(spec))).rejects.toThrow(message);
  });

  it.each<[string, Fields, RegExp]>([
    [
      "a name too long for what is derived from it",
      { name: "a".repeat(53) },
      /name must have at most 52 characters/,
    ],
    ["a name with a dot", { name: "cats.v1" }, /name must be lower-case letters, digits and '-'/],
    ["a name that begins with a digit", { name: "1cats" }, /name must be lower-case letters/],
    [
      "a name that another app's candidate has",
      { name: "cats-candidate" },
      /name must not end in -candidate/,
    ],
    [
      "a name that another app's verification has",
      { name: "cats-verify" },
      /name must not end in -candidate or -verify/,
    ],
  ])("%s", async (_, metadata, message) => {
    await expect(dryRun(app({}, metadata))).rejects.toThrow(message);
  });

  it.each(["image", "modelVersion", "model"])("a spec without %s", async (field) => {
    const manifest = JSON.parse(app({})) as { spec: Record<string, unknown> };
    delete manifest.spec[field];
    await expect(dryRun(JSON.stringify(manifest))).rejects.toThrow(
      new RegExp(`spec\\.${field}.*Required`),
    );
  });
});

describe("an AIApp that is stored", () => {
  beforeAll(() => server.kubectl(["apply", "--filename", "-"], app({ replicas: 2 })));

  it("has its defaults, and a status that says that no controller has observed it yet", async () => {
    const stored = JSON.parse(
      await server.kubectl(["get", "aia", "cats", "--output", "json"]),
    ) as Fields;
    expect(stored).toMatchObject({
      spec: { interval: "1m", suspend: false, model: { order: "Auto" } },
      status: { observedGeneration: -1 },
    });
    expect(stored).not.toHaveProperty("spec.autoscaling");
  });

  it("is scaled by kubectl scale", async () => {
    await server.kubectl(["scale", "aia", "cats", "--replicas", "5"]);
    const replicas = await server.kubectl([
      "get",
      "aia",
      "cats",
      "--output",
      "jsonpath={.spec.replicas}",
    ]);
    expect(replicas).toBe("5");
  });

  it("is found under its short name, and among all", async () => {
    expect(await server.kubectl(["get", "aia"])).toMatch(
      /NAME\s+READY\s+IMAGE TAG\s+MODEL\s+STATUS\s+RELEASE\s+URL\s+AGE/,
    );
    expect(await server.kubectl(["get", "all", "--output", "name"])).toContain(
      "aiapp.aiapp.dev/cats",
    );
  });

  it("keeps spec and status apart: who writes one cannot write the other", async () => {
    const patch = JSON.stringify({
      spec: { modelVersion: "8" },
      status: { observedGeneration: 9, url: "http://x" },
    });
    await server.kubectl([
      "patch",
      "aia",
      "cats",
      "--type",
      "merge",
      "--subresource",
      "status",
      "--patch",
      patch,
    ]);
    const stored = JSON.parse(
      await server.kubectl(["get", "aia", "cats", "--output", "json"]),
    ) as Fields;
    expect(stored).toMatchObject({
      spec: { modelVersion: "7" },
      status: { observedGeneration: 9, url: "http://x" },
    });
  });
});

function freeze(spec: Fields, name = "holidays"): string {
  return JSON.stringify({
    apiVersion: "aiapp.dev/v1alpha1",
    kind: "AIAppReleaseFreeze",
    metadata: { name },
    spec: { reason: "reduced on-call staff", ...spec },
  });
}

const recurring = { schedule: "0 16 * * FRI", timeZone: "Europe/Berlin", duration: "64h" };
const expression = (fields: Fields): Fields => ({
  namespaceSelector: { matchExpressions: [{ key: "stage", ...fields }] },
});

describe("the API server takes a freeze", () => {
  it.each<[string, Fields]>([
    ["of a reason alone", {}],
    ["of all namespaces", { namespaceSelector: {} }],
    ["of a time in UTC", { from: "2026-12-20T00:00:00Z", until: "2027-01-04T06:00:00Z" }],
    [
      "of a time with offsets, that ends after it begins, though its text sorts the other way",
      { from: "2026-12-20T01:00:00+02:00", until: "2026-12-20T00:30:00.5Z" },
    ],
    ["that begins later", { from: "2026-12-20T00:00:00Z" }],
    ["that ends", { until: "2026-12-20T00:00:00Z" }],
    ["that recurs", recurring],
    ["that recurs in UTC", { schedule: "*/30 0-6 1,15,L * 1#2", duration: "20m" }],
    ["of labels", { namespaceSelector: { matchLabels: { "example.com/stage": "prod", a: "" } } }],
    ["of values of a label", expression({ operator: "In", values: ["prod", ""] })],
    ["of values that a label has not", expression({ operator: "NotIn", values: ["prod"] })],
    ["of a label", expression({ operator: "Exists" })],
    ["of no label", expression({ operator: "DoesNotExist", values: [] })],
  ])("%s", async (_, spec) => {
    await expect(dryRun(freeze(spec))).resolves.toMatchObject({ kind: "AIAppReleaseFreeze" });
  });

  it("of each example of its page", async () => {
    const page = await readFile(join(root, "docs/reference/aiappreleasefreeze.md"), "utf8");
    const [, examples = ""] = /```yaml\n(.*?)```/s.exec(page) ?? [];
    const created = await server.kubectl(
      ["create", "--dry-run=server", "--output", "name", "--validate=strict", "--filename", "-"],
      examples,
    );
    expect(created.trim().split("\n")).toEqual([
      "aiappreleasefreeze.aiapp.dev/holidays-2026",
      "aiappreleasefreeze.aiapp.dev/weekends",
    ]);
  });
});

describe("the API server refuses a freeze, and says how to correct it", () => {
  it.each<[string, Fields, RegExp]>([
    ["without reason", { reason: undefined }, /spec\.reason.*Required/],
    ["of an empty reason", { reason: "" }, /spec\.reason.*should be at least 1 chars long/],
    ["of a blank reason", { reason: " " }, /reason must say why releases are frozen/],
    ["of a reason too long", { reason: "x".repeat(257) }, /spec\.reason.*may not be more than 256/],
    [
      "that begins some day",
      { from: "tomorrow" },
      /from must be a date and time with a time zone \(RFC 3339\), such as 2026-12-20T00:00:00Z/,
    ],
    [
      "of a time without zone",
      { until: "2026-12-20T00:00:00" },
      /until must be a date and time with/,
    ],
    [
      "of a day that does not exist",
      { from: "2026-02-30T00:00:00Z" },
      /from must be a date and time/,
    ],
    [
      "that ends before it begins",
      { from: "2026-12-20T00:00:00Z", until: "2026-12-20T00:30:00+01:00" },
      /spec\.until.*until must be after from: write a later until, or remove until/,
    ],
    [
      "that recurs until a time",
      { ...recurring, until: "2026-12-20T00:00:00Z" },
      /schedule excludes from and until: write schedule and duration for a freeze that recurs/,
    ],
    [
      "that recurs for no time",
      { schedule: "0 16 * * FRI" },
      /spec\.duration.*schedule needs a duration: how long each freeze holds/,
    ],
    [
      "of a duration without schedule",
      { duration: "64h" },
      /duration and timeZone belong to schedule: add a schedule/,
    ],
    ["of a time zone without schedule", { timeZone: "UTC" }, /duration and timeZone belong to/],
    [
      "of a zero duration",
      { ...recurring, duration: "0s" },
      /duration must be between 1m and 8784h/,
    ],
    ["of a schedule of six fields", { ...recurring, schedule: "0 0 16 * * 5" }, /schedule must be a cron expression of five fields, minute hour day month weekday, such as "0 22/], // prettier-ignore
    ["of a nickname", { ...recurring, schedule: "@weekly" }, /schedule must be a cron expression/],
    ["of an offset as time zone", { ...recurring, timeZone: "+02:00" }, /timeZone must be a name of the IANA/], // prettier-ignore
    ["of no values", expression({ operator: "In" }), /In and NotIn compare with values: name at least one/], // prettier-ignore
    ["of values to exist", expression({ operator: "Exists", values: ["x"] }), /Exists and DoesNotExist take no values: remove them/], // prettier-ignore
    [
      "of another operator",
      expression({ operator: "Gt", values: ["1"] }),
      /supported values: "In"/,
    ],
    ["of a label that is none", expression({ key: "a b", operator: "Exists" }), /matchExpressions\[0\]\.key/], // prettier-ignore
    ["of a field that there is not", { untill: "2026-12-20T00:00:00Z" }, /unknown field "spec\.untill"/], // prettier-ignore
  ])("%s", async (_, spec, message) => {
    await expect(dryRun(freeze(spec))).rejects.toThrow(message);
  });
});

describe("freezes that are stored", () => {
  const holidays = {
    from: "2026-12-20T00:00:00Z",
    until: "2027-01-04T06:00:00Z",
    namespaceSelector: { matchLabels: { stage: "production" } },
  };

  beforeAll(async () => {
    await server.kubectl(["apply", "--filename", "-"], freeze(holidays));
    await server.kubectl(["apply", "--filename", "-"], freeze(recurring, "weekends"));
  });

  it("show under their short name when and why they hold", async () => {
    const table = await server.kubectl(["get", "aiafreeze"]);
    expect(table).toMatch(/NAME\s+FROM\s+UNTIL\s+SCHEDULE\s+DURATION\s+REASON\s+AGE/);
    expect(table).toMatch(
      /holidays\s+2026-12-20T00:00:00Z\s+2027-01-04T06:00:00Z\s+reduced on-call/,
    );
    expect(table).toMatch(/weekends\s+0 16 \* \* FRI\s+64h\s+reduced on-call/);
  });

  it("show whom they hold for in the wide table", async () => {
    const table = await server.kubectl(["get", "aiafreeze", "--output", "wide"]);
    expect(table).toMatch(/holidays.*{"matchLabels":{"stage":"production"}}/);
    expect(table).toMatch(/weekends.*Europe\/Berlin/);
  });
});

function policy(spec: Fields, name = "shop"): string {
  const kind = "AIAppSourcePolicy";
  return JSON.stringify({ apiVersion: "aiapp.dev/v1alpha1", kind, metadata: { name }, spec });
}

describe("the API server takes a policy", () => {
  it.each<[string, Fields]>([
    ["that says nothing", {}],
    ["of a registry with a port", { images: ["registry.contoso.com:5000", "localhost"] }],
    ["of a repository", { images: ["contoso.azurecr.io/shop/cats"] }],
    ["of an account, a container and a folder", { stores: ["https://a.blob.core.windows.net", "https://a.blob.core.windows.net/$web", "http://azurite:10000/account/models"] }], // prettier-ignore
    ["of names below one", { hosts: ["*.contoso.com", "cats.contoso.com"] }],
    ["of every address", { loadBalancerSourceRanges: ["0.0.0.0/0", "::/0"] }],
    ["of nothing", { images: [], stores: [], hosts: [], serviceAccountNames: [] }],
  ])("%s", async (_, spec) => {
    await expect(dryRun(policy(spec))).resolves.toMatchObject({ kind: "AIAppSourcePolicy" });
  });

  it("of each example of its page, and shows what it allows", async () => {
    const page = await readFile(join(root, "docs/reference/aiappsourcepolicy.md"), "utf8");
    const [, examples = ""] = /```yaml\n(.*?)```/s.exec(page) ?? [];
    await server.kubectl(["create", "--validate=strict", "--filename", "-"], examples);
    const table = await server.kubectl(["get", "aiapolicy"]);
    expect(table).toMatch(/NAME\s+IMAGES\s+STORES\s+NAMESPACES\s+AGE/);
    expect(table).toMatch(
      /shop\s+\["contoso.azurecr.io\/shop","mcr.microsoft.com"\]\s+\["https:\/\/contoso.*{"matchLabels":{"team":"shop"}}/,
    );
    const wide = await server.kubectl(["get", "aiapolicy", "--output", "wide"]);
    expect(wide).toMatch(/shop.*\["\*\.shop\.contoso\.com"\].*203.0.113.0\/24.*scoring.*30s/);
  });
});

describe("the API server refuses a policy, and says how to correct it", () => {
  it.each<[string, Fields, RegExp]>([
    ["of a tag", { images: ["contoso.azurecr.io/cats:1"] }, /images must name registries or/],
    ["of a digest", { images: [`contoso.azurecr.io/cats@sha256:${"a".repeat(64)}`] }, /images must/], // prettier-ignore
    ["of a pattern", { images: ["contoso.azurecr.io/*"] }, /images must name registries or/],
    ["that ends in a slash", { images: ["contoso.azurecr.io/cats/"] }, /images must name/],
    ["of an image without registry", { images: ["library/nginx"] }, /images must name registries/],
    ["of a store without scheme", { stores: ["a.blob.core.windows.net"] }, /stores must be URLs/],
    ["of a store with a token", { stores: ["https://a.com/models?sig=1"] }, /stores must be URLs/],
    ["of a store's parent", { stores: ["https://a.com/models/.."] }, /stores must be URLs/],
    ["of a pattern of names", { hosts: ["c*.contoso.com"] }, /hosts must be DNS names/],
    ["of an address", { loadBalancerSourceRanges: ["10.0.0.1"] }, /must be written as 203/],
    ["of a long interval", { minInterval: "48h" }, /minInterval must be between 1s and 24h/],
    ["of too many images", { images: Array.from({ length: 129 }, (_, n) => `${n}.io`) }, /must have at most 128/], // prettier-ignore
  ])("%s", async (_, spec, message) => {
    await expect(dryRun(policy(spec))).rejects.toThrow(message);
  });
});
