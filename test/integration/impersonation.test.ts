import { KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { execute } from "../../operator/aiapp/execute.ts";
import { createClients, type Clients } from "../../operator/kube/client.ts";
import { kinds, type V1Deployment } from "../../operator/kube/types.ts";
import { eventually } from "../cluster/process.ts";
import { startApiServer, type ApiServer } from "../support/apiserver.ts";

/** The operator writes as a ServiceAccount of the tenant: the tenant's rights and admission policies decide. */

const signal = AbortSignal.timeout(120_000);
const DEPLOYER = "system:serviceaccount:shop:deployer";
let server: ApiServer;
let clients: Clients;

beforeAll(async () => {
  server = await startApiServer({ users: ["operator"] });
  await server.kubectl(["create", "namespace", "shop"]);
  for (const args of [
    // As the chart grants it.
    [
      "role",
      "impersonate",
      "--verb=impersonate",
      "--resource=serviceaccounts",
      "--resource-name=deployer",
    ],
    ["rolebinding", "impersonate", "--role=impersonate", "--user=operator"],
    ["role", "read", "--verb=get", "--resource=deployments.apps"],
    ["rolebinding", "read", "--role=read", "--user=operator"],
    ["role", "deploy", "--verb=create,patch,delete", "--resource=deployments.apps"],
  ])
    await server.kubectl(["create", ...args, "--namespace", "shop"]);
  const config = new KubeConfig();
  config.loadFromFile(await server.kubeconfigFor({ user: "operator" }));
  clients = createClients({ config, requestTimeoutMs: 10_000 });
});
afterAll(() => server.close());

function deployment(name: string, labels: Readonly<Record<string, string>> = {}): V1Deployment {
  const app = { app: name };
  return {
    metadata: { namespace: "shop", name, labels },
    spec: {
      selector: { matchLabels: app },
      template: {
        metadata: { labels: app },
        spec: { containers: [{ name: "server", image: "contoso.azurecr.io/cats:1" }] },
      },
    },
  };
}

async function apply(object: V1Deployment, user: string | undefined = DEPLOYER): Promise<void> {
  const { kube, kubeAs } = clients;
  await execute(
    [{ kind: "apply", resource: kinds.deployment, object, uid: undefined }],
    {
      kube,
      poller: { pollSince: () => {} },
      tenant: user === "operator" ? undefined : () => kubeAs(user),
    },
    signal,
  );
}

describe("writing as a tenant", () => {
  it("is refused while the tenant lacks the right, in the words of the API server", async () => {
    await expect(apply(deployment("early"))).rejects.toMatchObject({
      code: "KUBE_FORBIDDEN",
      message: expect.stringMatching(
        /User "system:serviceaccount:shop:deployer" cannot patch resource "deployments" in API group "apps" in the namespace "shop"/,
      ),
    });
  });

  it("succeeds by the tenant's right alone: the operator itself has none", async () => {
    const bind = [
      "create",
      "rolebinding",
      "deploy",
      "--role=deploy",
      "--serviceaccount=shop:deployer",
    ];
    await server.kubectl([...bind, "--namespace", "shop"]);
    await eventually("the right", 20_000, () =>
      apply(deployment("cats")).then(
        () => true,
        () => false,
      ),
    );
    expect(await clients.kube.get(kinds.deployment, "shop", "cats", signal)).toBeDefined();
    await expect(apply(deployment("own"), "operator")).rejects.toMatchObject({
      message: expect.stringMatching(/User "operator" cannot patch resource "deployments"/),
    });
  });

  it.each([
    "system:serviceaccount:shop:admin",
    "system:serviceaccount:default:deployer",
    "admin",
    "system:admin",
  ])("is possible as that ServiceAccount only, and not as %s", async (user) => {
    await expect(apply(deployment("cats"), user)).rejects.toMatchObject({
      code: "KUBE_FORBIDDEN",
      message: expect.stringMatching(/User "operator" cannot impersonate resource/),
    });
  });

  it("is what admission policies see", async () => {
    const kind = "ValidatingAdmissionPolicy";
    const apiVersion = "admissionregistration.k8s.io/v1";
    const metadata = { name: "tenants" };
    const rule = { apiGroups: ["apps"], apiVersions: ["v1"], resources: ["deployments"], operations: ["CREATE", "UPDATE"] }; // prettier-ignore
    const expression = `request.userInfo.username != '${DEPLOYER}' || ('team' in object.metadata.?labels.orValue({}))`;
    const spec = {
      matchConstraints: { resourceRules: [rule] },
      validations: [{ expression, message: "the team shop must label its Deployments" }],
    };
    const binding = { policyName: "tenants", validationActions: ["Deny"] };
    for (const object of [
      { apiVersion, kind, metadata, spec },
      { apiVersion, kind: `${kind}Binding`, metadata, spec: binding },
    ])
      await server.kubectl(["create", "--filename", "-"], JSON.stringify(object));
    await eventually("the policy", 30_000, () =>
      apply(deployment("dogs")).then(
        () => false,
        (error: Error) => /the team shop must label its Deployments/.test(error.message),
      ),
    );
    await apply(deployment("dogs", { team: "shop" }));
    expect(await clients.kube.get(kinds.deployment, "shop", "dogs", signal)).toBeDefined();
  });
});
