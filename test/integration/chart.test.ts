import { join } from "node:path";

import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { z } from "zod";

import { labels, MANAGER } from "../../crds/names.ts";
import { ensureBinaries } from "../cluster/binaries.ts";
import { startApiServer, type ApiServer } from "../support/apiserver.ts";

/** The chart, installed by Helm on a real API server with RBAC: the rights that it grants, and what it prints. */

const CHART = join(import.meta.dirname, "../../charts/aiapp-operator");
const OPERATOR = "system:serviceaccount:aiapp-system:operator";
const TENANT = { tenantNamespaces: ["shop"] };
const UPGRADE = ["upgrade", "--install"];
/** Without a cluster Helm assumes an old version of Kubernetes. */
const TEMPLATE = ["template", "--kube-version", "1.30.0"];
let server: ApiServer;

beforeAll(async () => {
  server = await startApiServer();
  for (const namespace of ["aiapp-system", "shop", "other"])
    await server.kubectl(["create", "namespace", namespace]);
});
afterAll(() => server.close());

/** Runs Helm with values on top of an image; gives its exit code and all that it printed. */
async function runHelm(
  command: readonly string[],
  values: Readonly<Record<string, unknown>>,
): Promise<{ readonly exitCode: number | undefined; readonly output: string }> {
  const binary = process.env["HELM_BINARY"] ?? (await ensureBinaries()).helm;
  const where = ["--namespace", "aiapp-system", "--kubeconfig", server.kubeconfig];
  // `helm lint` takes no name of a release.
  const release = command[0] === "lint" ? [] : ["operator"];
  const { exitCode, all } = await execa(
    binary,
    [...command, ...release, CHART, ...where, "--values", "-"],
    {
      all: true,
      reject: false,
      input: JSON.stringify({ image: { repository: "contoso.azurecr.io/operator" }, ...values }),
    },
  );
  return { exitCode, output: all };
}

async function helm(
  command: readonly string[],
  values: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { exitCode, output } = await runHelm(command, values);
  if (exitCode !== 0) throw new Error(output);
  return output;
}

/** The objects of a kind that the chart renders. */
async function renderedOf<T>(
  kind: string,
  shape: z.ZodType<T>,
  values: Readonly<Record<string, unknown>>,
): Promise<readonly T[]> {
  const objects = parseAllDocuments(await helm(TEMPLATE, values)).map((one): unknown => one.toJS());
  return objects.filter((one) => Rendered.parse(one).kind === kind).map((one) => shape.parse(one));
}

const Rendered = z.object({
  kind: z.string(),
  metadata: z.object({ name: z.string(), namespace: z.string().optional() }),
});

/** `Kind/name` or `Kind/namespace/name` of each object that the chart renders. */
async function rendered(values: Readonly<Record<string, unknown>>): Promise<readonly string[]> {
  const output = await helm(TEMPLATE, values);
  return parseAllDocuments(output)
    .map((document) => Rendered.parse(document.toJS()))
    .map(({ kind, metadata: { name, namespace } }) =>
      [kind, namespace, name].filter((part) => part !== undefined).join("/"),
    );
}

/** @param resource as in an RBAC rule: `aiapps/status` is a subresource */
async function operatorCan(
  verb: string,
  resource: string,
  namespace: string,
  object?: string,
): Promise<boolean> {
  const [name = "", subresource] = resource.split("/");
  const what = object === undefined ? name : `${name}/${object}`;
  const question = ["auth", "can-i", verb, what, "--namespace", namespace, "--as", OPERATOR];
  if (subresource !== undefined) question.push("--subresource", subresource);
  const answer = await server.kubectl(question).catch((error: unknown) => {
    // kubectl exits with 1 for "no".
    if (error instanceof Error && "stdout" in error) return String(error.stdout);
    throw error;
  });
  return answer.trim() === "yes";
}

describe("helm lint", () => {
  const LINT = ["lint", "--strict", "--kube-version", "1.30.0"];

  it.each([
    ["of a tenant", TENANT],
    [
      "that turn everything on",
      {
        ...TENANT,
        tenantCredentials: { shop: { secrets: ["storage"], serviceAccounts: ["scoring"] } },
        clusterWide: true,
        releaseFreezes: true,
        sourcePolicies: true,
        impersonate: true,
        caBundle: "-----BEGIN CERTIFICATE-----",
        modelServerImages: ["contoso.azurecr.io/scoring"],
        networkPolicy: { apps: { enabled: true } },
        metrics: { secure: true, serviceMonitor: { enabled: true } },
        monitoring: { rules: { enabled: true }, dashboard: { enabled: true } },
      },
    ],
  ])("finds nothing to warn of with values %s", async (_, values) => {
    const { exitCode, output } = await runHelm(LINT, values);
    expect(output).toContain("1 chart(s) linted, 0 chart(s) failed");
    expect(output).not.toMatch(/\[(?:WARNING|ERROR)\]/);
    expect(exitCode).toBe(0);
  });
});

describe("the chart with tenantNamespaces", () => {
  beforeAll(async () => {
    await helm(UPGRADE, TENANT);
  });

  it("binds nothing cluster-wide", async () => {
    const objects = await rendered(TENANT);
    expect(objects.filter((object) => object.startsWith("ClusterRoleBinding"))).toEqual([]);
    expect(objects).toContain("RoleBinding/shop/operator");
    expect(objects).toContain("RoleBinding/shop/operator-tenant");
  });

  it.each([
    ["watch", "aiapps"],
    ["patch", "aiapps/status"],
    ["create", "deployments"],
    ["create", "jobs"],
    ["watch", "jobs"],
    ["delete", "jobs"],
    ["get", "secrets"],
    ["create", "serviceaccounts/token"],
  ])("lets the operator %s %s in a tenant's namespace only", async (verb, resource) => {
    expect(await operatorCan(verb, resource, "shop")).toBe(true);
    expect(await operatorCan(verb, resource, "other")).toBe(false);
    expect(await operatorCan(verb, resource, "kube-system")).toBe(false);
  });

  it("lets the operator neither list Secrets nor change the spec of an AIApp", async () => {
    expect(await operatorCan("list", "secrets", "shop")).toBe(false);
    expect(await operatorCan("patch", "aiapps", "shop")).toBe(false);
  });

  it("has the operator watch the tenants' namespaces", async () => {
    const output = await helm(TEMPLATE, { tenantNamespaces: ["shop", "lab"] });
    expect(output).toContain('{ name: WATCH_NAMESPACES, value: "shop,lab" }');
  });
});

describe("the chart with tenantCredentials", () => {
  const listed = { secrets: ["storage"], serviceAccounts: ["scoring"] };

  it("lets the operator use the Secrets and ServiceAccounts that a tenant lists, and no others", async () => {
    await helm(UPGRADE, {
      tenantNamespaces: ["shop", "other"],
      tenantCredentials: { shop: listed },
    });
    expect(await operatorCan("get", "secrets", "shop", "storage")).toBe(true);
    expect(await operatorCan("get", "secrets", "shop", "payments")).toBe(false);
    expect(await operatorCan("get", "secrets", "shop")).toBe(false);
    expect(await operatorCan("create", "serviceaccounts/token", "shop", "scoring")).toBe(true);
    expect(await operatorCan("create", "serviceaccounts/token", "shop", "admin")).toBe(false);
    expect(await operatorCan("get", "secrets", "other", "payments")).toBe(true);
  });

  it("lets it use none where the lists are empty", async () => {
    await helm(UPGRADE, { ...TENANT, tenantCredentials: { shop: { secrets: [] } } });
    expect(await operatorCan("get", "secrets", "shop", "storage")).toBe(false);
    expect(await operatorCan("create", "serviceaccounts/token", "shop", "scoring")).toBe(false);
    await helm(UPGRADE, TENANT);
    expect(await operatorCan("get", "secrets", "shop", "storage")).toBe(true);
  });

  it("refuses a namespace that is no tenant", async () => {
    const { exitCode, output } = await runHelm(TEMPLATE, {
      ...TENANT,
      tenantCredentials: { lab: listed },
    });
    expect(exitCode).toBe(1);
    expect(output).toContain("tenantCredentials lists lab, which tenantNamespaces does not");
  });
});

describe("the chart with clusterWide", () => {
  const values = { ...TENANT, clusterWide: true };
  beforeAll(async () => {
    await helm(UPGRADE, values);
  });

  it("lets the operator act in every namespace, with Secrets of tenants only", async () => {
    expect(await operatorCan("create", "deployments", "other")).toBe(true);
    expect(await operatorCan("get", "secrets", "shop")).toBe(true);
    expect(await operatorCan("get", "secrets", "other")).toBe(false);
  });

  it("has the operator watch all namespaces", async () => {
    expect(await helm(TEMPLATE, values)).not.toContain("WATCH_NAMESPACES");
  });
});

describe("the chart's roles for people", () => {
  const Roles = z.object({
    items: z.array(
      z.object({
        metadata: z.object({ name: z.string() }),
        rules: z.array(z.object({ resources: z.array(z.string()), verbs: z.array(z.string()) })),
      }),
    ),
  });

  async function aggregatedTo(role: string): Promise<z.infer<typeof Roles>["items"]> {
    const selector = `rbac.authorization.k8s.io/aggregate-to-${role}=true,app.kubernetes.io/name=aiapp-operator`;
    const text = await server.kubectl([
      "get",
      "clusterroles",
      "--selector",
      selector,
      "--output",
      "json",
    ]);
    return Roles.parse(JSON.parse(text)).items;
  }

  it("let viewers read AIApps and editors write them, without their status", async () => {
    await helm(UPGRADE, TENANT);
    const view = await aggregatedTo("view");
    const edit = await aggregatedTo("edit");
    expect(view.map(({ metadata }) => metadata.name)).toEqual(["operator-view"]);
    expect(edit.map(({ metadata }) => metadata.name)).toEqual(["operator-edit", "operator-view"]);
    expect(new Set(view.flatMap(({ rules }) => rules.flatMap(({ verbs }) => verbs)))).toEqual(
      new Set(["get", "list", "watch"]),
    );
    const resources = edit.flatMap(({ rules }) => rules.flatMap((rule) => rule.resources));
    expect(new Set(resources)).toEqual(new Set(["aiapps", "aiapps/scale"]));
  });

  it("can be left out", async () => {
    const objects = await rendered({ ...TENANT, aggregateClusterRoles: false });
    expect(objects).not.toContain("ClusterRole/operator-view");
    expect(objects).not.toContain("ClusterRole/operator-edit");
  });
});

describe("the operator's pods", () => {
  const Template = z.object({ spec: z.object({ template: z.looseObject({}) }) });

  it.each([{}, { caBundle: "-----BEGIN CERTIFICATE-----", metrics: { secure: true } }])(
    "are admitted where Pod Security enforces its level restricted: %j",
    async (more) => {
      const [deployment] = await renderedOf("Deployment", Template, { ...TENANT, ...more });
      const level = "pod-security.kubernetes.io/enforce=restricted";
      await server.kubectl(["label", "--overwrite", "namespace", "other", level]);
      const pod = { apiVersion: "v1", kind: "Pod", ...deployment?.spec.template };
      const named = { ...pod, metadata: { name: "operator" } };
      const create = ["create", "--dry-run=server", "--namespace=other", "--output=name"];
      const made = server.kubectl([...create, "--filename=-"], JSON.stringify(named));
      expect(await made).toBe("pod/operator");
    },
  );

  it("are evicted one at a time when there are two, and are not held when there is one", async () => {
    expect(await rendered(TENANT)).toContain("PodDisruptionBudget/operator");
    const one = await rendered({ ...TENANT, replicas: 1 });
    expect(one).not.toContain("PodDisruptionBudget/operator");
  });

  it("know which images are the model server, where the values say so", async () => {
    const modelServerImages = ["contoso.azurecr.io/scoring", "registry.example.com:5000"];
    expect(await helm(TEMPLATE, { ...TENANT, modelServerImages })).toContain(
      '{ name: MODEL_SERVER_IMAGES, value: "contoso.azurecr.io/scoring,registry.example.com:5000" }',
    );
    expect(await helm(TEMPLATE, TENANT)).not.toContain("MODEL_SERVER_IMAGES");
  });

  it("know what the AIApps of one namespace may take, in whole numbers", async () => {
    const output = await helm(TEMPLATE, { ...TENANT, namespaceLimits: { apps: 0 } });
    expect(output).toContain('{ name: APPS_PER_NAMESPACE, value: "0" }');
    expect(output).toContain('{ name: POLLS_PER_MINUTE, value: "6000" }');
    expect(output).toContain('{ name: BYTES_PER_MINUTE, value: "1073741824" }');
    expect(output).toContain('{ name: CPU_MS_PER_MINUTE, value: "15000" }');
  });

  it("have the priority and the spread that the values give", async () => {
    const constraint = { maxSkew: 2, topologyKey: "rack", whenUnsatisfiable: "DoNotSchedule" };
    const [deployment] = await renderedOf("Deployment", Template, {
      ...TENANT,
      priorityClassName: "system-cluster-critical",
      topologySpreadConstraints: [constraint],
    });
    expect(deployment?.spec.template["spec"]).toMatchObject({
      priorityClassName: "system-cluster-critical",
      topologySpreadConstraints: [constraint],
    });
  });
});

describe("the chart's NetworkPolicies", () => {
  const Policy = z.object({
    metadata: z.object({ name: z.string(), namespace: z.string().optional() }),
    spec: z.looseObject({
      podSelector: z.object({ matchLabels: z.record(z.string(), z.string()) }),
      ingress: z.array(z.unknown()),
      egress: z.array(z.unknown()),
    }),
  });
  const DNS = {
    ports: [
      { protocol: "UDP", port: 53 },
      { protocol: "TCP", port: 53 },
    ],
  };
  const tcp = (...ports: readonly (number | string)[]): unknown =>
    ports.map((port) => ({ protocol: "TCP", port }));

  it("let the operator connect to DNS and a few ports, and others connect to its metrics", async () => {
    const policies = await renderedOf("NetworkPolicy", Policy, {
      ...TENANT,
      insecureHosts: ["plain.example.com", "registry.example.com:5000"],
    });
    expect(policies.map(({ metadata }) => metadata.name)).toEqual(["operator"]);
    const [{ spec } = { spec: undefined }] = policies;
    expect(spec).toMatchObject({
      policyTypes: ["Ingress", "Egress"],
      ingress: [{ from: [{ namespaceSelector: {} }], ports: tcp("metrics") }],
      egress: [DNS, { ports: tcp(443, 6443, 5000) }],
    });
    const [deployment] = await renderedOf(
      "Deployment",
      z.object({ spec: z.object({ selector: z.unknown() }) }),
      TENANT,
    );
    expect(spec?.podSelector).toEqual(deployment?.spec.selector);
  });

  it("can keep all pods from the metrics, and add rules", async () => {
    const rule = { to: [{ ipBlock: { cidr: "10.0.0.10/32" } }] };
    const [policy] = await renderedOf("NetworkPolicy", Policy, {
      ...TENANT,
      networkPolicy: { metricsFrom: [], egressPorts: [8443], extraEgress: [rule] },
    });
    expect(policy?.spec.ingress).toEqual([]);
    expect(policy?.spec.egress).toEqual([DNS, { ports: tcp(8443) }, rule]);
  });

  it("are there for the pods of AIApps when asked, in each namespace of a tenant", async () => {
    const from = [{ podSelector: { matchLabels: { app: "gateway" } } }];
    const policies = await renderedOf("NetworkPolicy", Policy, {
      tenantNamespaces: ["shop", "lab"],
      networkPolicy: { enabled: false, apps: { enabled: true, from } },
    });
    expect(policies.map(({ metadata }) => metadata)).toMatchObject([
      { name: "operator-apps", namespace: "shop" },
      { name: "operator-apps", namespace: "lab" },
    ]);
    expect(policies[0]?.spec).toMatchObject({
      podSelector: { matchLabels: { [labels.managedBy]: MANAGER } },
      ingress: [
        { from, ports: tcp(8080, 9000) },
        { from: [{ namespaceSelector: {} }], ports: tcp(9090) },
      ],
      egress: [DNS, { ports: tcp(443) }],
    });
  });

  it("are accepted by the API server", async () => {
    await helm(UPGRADE, { ...TENANT, networkPolicy: { apps: { enabled: true } } });
    const kept = await server.kubectl(["get", "networkpolicies", "--all-namespaces"]);
    expect(kept).toContain("operator-apps");
  });
});

describe("the chart with sourcePolicies", () => {
  it("installs and enforces policies; without, neither", async () => {
    const CRD = "CustomResourceDefinition/aiappsourcepolicies.aiapp.dev";
    expect(await rendered(TENANT)).not.toContain(CRD);
    expect(await helm(TEMPLATE, TENANT)).not.toContain("WATCH_SOURCE_POLICIES");
    const values = { ...TENANT, sourcePolicies: true };
    expect(await rendered(values)).toContain(CRD);
    expect(await helm(TEMPLATE, values)).toContain(
      '{ name: WATCH_SOURCE_POLICIES, value: "true" }',
    );
  });

  it("lets the operator read policies and namespaces, and nothing else of the cluster", async () => {
    await helm(UPGRADE, { ...TENANT, sourcePolicies: true });
    expect(await operatorCan("watch", "aiappsourcepolicies", "other")).toBe(true);
    expect(await operatorCan("watch", "namespaces", "other")).toBe(true);
    expect(await operatorCan("patch", "aiappsourcepolicies", "other")).toBe(false);
    expect(await operatorCan("get", "secrets", "other")).toBe(false);
    await helm(UPGRADE, TENANT);
    expect(await operatorCan("watch", "namespaces", "other")).toBe(false);
  });
});

describe("the chart with impersonate", () => {
  it("lets the operator act as one ServiceAccount of each tenant, and write nothing for itself", async () => {
    const values = { ...TENANT, impersonate: true, defaultServiceAccount: "deployer" };
    await helm(UPGRADE, values);
    for (const resource of ["deployments", "jobs", "services", "serviceaccounts"]) {
      expect(await operatorCan("watch", resource, "shop")).toBe(true);
      expect(await operatorCan("create", resource, "shop")).toBe(false);
      expect(await operatorCan("patch", resource, "shop")).toBe(false);
      expect(await operatorCan("delete", resource, "shop")).toBe(false);
    }
    expect(await operatorCan("create", "controllerrevisions", "shop")).toBe(true);
    expect(await operatorCan("impersonate", "serviceaccounts", "shop", "deployer")).toBe(true);
    expect(await operatorCan("impersonate", "serviceaccounts", "shop", "default")).toBe(false);
    expect(await operatorCan("impersonate", "serviceaccounts", "other", "deployer")).toBe(false);
    expect(await operatorCan("impersonate", "users", "shop", "admin")).toBe(false);
    expect(await helm(TEMPLATE, values)).toContain(
      '{ name: IMPERSONATE_SERVICE_ACCOUNT, value: "deployer" }',
    );
    await helm(UPGRADE, TENANT);
    expect(await operatorCan("impersonate", "serviceaccounts", "shop", "deployer")).toBe(false);
  });
});

describe("what the chart says", () => {
  it("refuses to install without a namespace to serve, and names the two ways out", async () => {
    const { exitCode, output } = await runHelm(TEMPLATE, {});
    expect(exitCode).toBe(1);
    expect(output).toContain("tenantNamespaces must list");
    expect(output).toContain("clusterWide: true");
  });

  it("refuses a value that it does not know", async () => {
    const { exitCode, output } = await runHelm(TEMPLATE, { ...TENANT, metrics: { secured: true } });
    expect(exitCode).toBe(1);
    expect(output).toContain("secured");
  });

  it("warns that load balancers are public, and shows how to avoid that", async () => {
    const output = await helm(UPGRADE, TENANT);
    expect(output).toContain("WARNING: each AIApp gets a Service of type LoadBalancer");
    expect(output).toContain("service: { type: ClusterIP }");
    expect(output).toContain("azure-load-balancer-internal");
    expect(output).toContain("The operator serves AIApps in: shop.");
  });
});
