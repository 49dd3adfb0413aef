import { join } from "node:path";

import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { z } from "zod";

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
  const { exitCode, all } = await execa(
    binary,
    [...command, "operator", CHART, ...where, "--values", "-"],
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
async function operatorCan(verb: string, resource: string, namespace: string): Promise<boolean> {
  const [name = "", subresource] = resource.split("/");
  const question = ["auth", "can-i", verb, name, "--namespace", namespace, "--as", OPERATOR];
  if (subresource !== undefined) question.push("--subresource", subresource);
  const answer = await server.kubectl(question).catch((error: unknown) => {
    // kubectl exits with 1 for "no".
    if (error instanceof Error && "stdout" in error) return String(error.stdout);
    throw error;
  });
  return answer.trim() === "yes";
}

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

describe("what the chart says", () => {
  it("refuses to install without a namespace to serve, and names the two ways out", async () => {
    const { exitCode, output } = await runHelm(TEMPLATE, {});
    expect(exitCode).toBe(1);
    expect(output).toContain("tenantNamespaces must list");
    expect(output).toContain("clusterWide: true");
  });

  it("warns that load balancers are public, and shows how to avoid that", async () => {
    const output = await helm(UPGRADE, TENANT);
    expect(output).toContain("WARNING: each AIApp gets a Service of type LoadBalancer");
    expect(output).toContain("service: { type: ClusterIP }");
    expect(output).toContain("The operator serves AIApps in: shop.");
  });
});
