import { join } from "node:path";

import { KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createKube } from "../../operator/kube/client.ts";
import { World } from "../../operator/aiapp/observed.testing.ts";
import { kinds, type V1ControllerRevision } from "../../operator/kube/types.ts";
import { describeKube } from "../../operator/kube/contract/contract.testing.ts";
import { startApiServer, type ApiServer } from "../support/apiserver.ts";
import { installCrds } from "../support/crds.ts";
import { documents, reduceOpenApi } from "../support/kube-schema.ts";

/** The fake's contract on a real API server: what both do is what the operator may rely on. */

const root = join(import.meta.dirname, "..", "..");
const SCHEMA = join(root, "operator", "kube", "fake", "generated", "schema.json");
let server: ApiServer;

beforeAll(async () => {
  server = await startApiServer();
  await installCrds(server);
});
afterAll(() => server.close());

describeKube("the API server", async () => {
  const config = new KubeConfig();
  config.loadFromFile(server.kubeconfig);
  for (const name of ["one", "two"]) await server.kubectl(["create", "namespace", name]);
  return {
    kube: createKube({ config, requestTimeoutMs: 10_000 }),
    // Its memory of changes does not outlive it.
    forget: async () => {
      await server.pause();
      await server.resume();
    },
    close: async () => {},
  };
});

describe("the record of a release", () => {
  it("can lose its owner: the garbage collector orphans it if an AIApp is deleted with --cascade=orphan", async () => {
    const world = new World({
      env: [{ name: "QUERY", value: "a&b<c>\u2028ü" }],
      resources: { limits: { memory: "1Gi", cpu: 0.5 } },
      podTemplate: { spec: { terminationGracePeriodSeconds: 90, priorityClassName: "high" } },
    });
    world.poll().reconcile();
    const revision: V1ControllerRevision | undefined = [...world.objects.values()].find(
      (object): object is V1ControllerRevision => "data" in object,
    );
    if (revision === undefined) throw new Error("the release has no record");
    const { name = "", ownerReferences = [] } = revision.metadata ?? {};
    const { uid: _, resourceVersion: __, ...metadata } = revision.metadata ?? {};
    const config = new KubeConfig();
    config.loadFromFile(server.kubeconfig);
    const kube = createKube({ config, requestTimeoutMs: 10_000 });
    const signal = AbortSignal.timeout(10_000);
    const created = await kube.create(
      kinds.controllerRevision,
      { ...revision, metadata: { ...metadata, namespace: "default" } },
      signal,
    );
    // As the garbage collector does it.
    const owners = ownerReferences.map(({ uid }) => ({ $patch: "delete", uid }));
    await server.kubectl([
      "patch",
      "controllerrevision",
      name,
      "--type=strategic",
      `--patch=${JSON.stringify({ metadata: { ownerReferences: owners } })}`,
    ]);
    const orphan = await kube.get(kinds.controllerRevision, "default", name, signal);
    expect(orphan?.metadata?.ownerReferences).toBeUndefined();
    expect(orphan?.data).toEqual(created.data);
  });
});

describe("the fake's schema", () => {
  it("is the API server's (vitest --update writes it)", async () => {
    const texts = await Promise.all(
      documents.map((path) => server.kubectl(["get", "--raw", `/openapi/v3/${path}`])),
    );
    await expect(reduceOpenApi(texts)).toMatchFileSnapshot(SCHEMA);
  });
});
