import { join } from "node:path";

import { KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createKube } from "../../operator/kube/client.ts";
import { describeKube } from "../../operator/kube/contract/contract.testing.ts";
import { startApiServer, type ApiServer } from "../support/apiserver.ts";
import { documents, reduceOpenApi } from "../support/kube-schema.ts";

/** The fake's contract on a real API server: what both do is what the operator may rely on. */

const root = join(import.meta.dirname, "..", "..");
const CRD = join(root, "crds", "generated", "aiapps.aiapp.dev.yaml");
const SCHEMA = join(root, "operator", "kube", "fake", "generated", "schema.json");
let server: ApiServer;

beforeAll(async () => {
  server = await startApiServer();
  await server.kubectl(["apply", "--filename", CRD]);
  await server.kubectl([
    "wait",
    "crd/aiapps.aiapp.dev",
    "--for=condition=Established",
    "--timeout=30s",
  ]);
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

describe("the fake's schema", () => {
  it("is the API server's (vitest --update writes it)", async () => {
    const texts = await Promise.all(
      documents.map((path) => server.kubectl(["get", "--raw", `/openapi/v3/${path}`])),
    );
    await expect(reduceOpenApi(texts)).toMatchFileSnapshot(SCHEMA);
  });
});
