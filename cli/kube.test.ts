import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { openCluster } from "./kube.ts";
import type { TestApi } from "./kube.testing.ts";
import { startApi } from "./kube.testing.ts";

const idle = new AbortController().signal;
let api: TestApi;
let kubeconfig: string;

beforeEach(async () => {
  api = await startApi();
  ({ kubeconfig } = api);
});
afterEach(async () => api[Symbol.asyncDispose]());

function notFound(message: string): { status: number; body: unknown } {
  return { status: 404, body: { kind: "Status", status: "Failure", message, code: 404 } };
}

describe("reading an AIApp", () => {
  test("takes the namespace of the context, or the one that is named", async () => {
    api.response = { status: 200, body: { kind: "AIApp" } };
    const cluster = await openCluster({ kubeconfig });
    expect(await cluster.read("digits", idle)).toEqual({ kind: "AIApp" });
    await (await openCluster({ kubeconfig, context: "two" })).read("digits", idle);
    await (await openCluster({ kubeconfig, namespace: "other" })).read("digits", idle);
    expect(api.requests).toEqual([
      "GET /apis/aiapp.dev/v1alpha1/namespaces/shop/aiapps/digits",
      "GET /apis/aiapp.dev/v1alpha1/namespaces/default/aiapps/digits",
      "GET /apis/aiapp.dev/v1alpha1/namespaces/other/aiapps/digits",
    ]);
  });

  test.each([
    [
      "a missing app",
      notFound('aiapps.aiapp.dev "digits" not found'),
      "AppNotFound",
      "no AIApp digits in the namespace shop",
    ],
    [
      "a cluster without the operator",
      notFound("the server could not find the requested resource"),
      "AppNotFound",
      "does not serve the AIApp API",
    ],
    ["a forbidden read", { status: 403, body: {} }, "ClusterAuthFailed", "403"],
    ["a failing API server", { status: 500, body: {} }, "ClusterUnavailable", "responded with 500"],
    ["a connection that is reset", "cut", "ClusterUnavailable", "did not answer"],
  ] as const)("reports %s with its own error", async (_what, given, code, message) => {
    api.response = given;
    const cluster = await openCluster({ kubeconfig });
    await expect(cluster.read("digits", idle)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  test("a list of records that is forbidden is undefined, one that fails is an error", async () => {
    const cluster = await openCluster({ kubeconfig });
    api.response = { status: 403, body: {} };
    expect(await cluster.listRecords("digits", idle)).toBeUndefined();
    api.response = { status: 500, body: {} };
    await expect(cluster.listRecords("digits", idle)).rejects.toMatchObject({
      code: "ClusterUnavailable",
    });
  });

  test("ends when it is aborted, although the API server does not answer", async () => {
    const cluster = await openCluster({ kubeconfig });
    const stop = new AbortController();
    const reading = cluster.read("digits", stop.signal);
    const failure = reading.catch((error: unknown) => error);
    await expect.poll(() => api.requests).toHaveLength(1);
    stop.abort();
    expect(await failure).toMatchObject({ name: "AbortError" });
  });

  test("requires a kubeconfig and a context that exist", async () => {
    await expect(openCluster({ kubeconfig: join(api.folder, "none") })).rejects.toMatchObject({
      code: "KubeconfigInvalid",
    });
    await expect(openCluster({ kubeconfig, context: "three" })).rejects.toMatchObject({
      code: "KubeconfigInvalid",
      message: expect.stringContaining("no context three"),
    });
  });
});
