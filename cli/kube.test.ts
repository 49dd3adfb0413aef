import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { openCluster } from "./kube.ts";

const idle = new AbortController().signal;
let folder: string;
let kubeconfig: string;
let server: Server;
let answer: { status: number; body: unknown } | "never" | "cut";
let asked: string[];

beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (answer === "cut") request.socket.destroy();
    if (typeof answer !== "object") return;
    response.writeHead(answer.status, { "content-type": "application/json" });
    response.end(JSON.stringify(answer.body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  folder = await mkdtemp(join(tmpdir(), "aiapp-kube-"));
  kubeconfig = join(folder, "config");
  await writeFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        {
          name: "c",
          cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true },
        },
      ],
      users: [{ name: "u", user: {} }],
      contexts: [
        { name: "one", context: { cluster: "c", user: "u", namespace: "shop" } },
        { name: "two", context: { cluster: "c", user: "u" } },
      ],
      "current-context": "one",
    }),
  );
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

function notFound(message: string): { status: number; body: unknown } {
  return { status: 404, body: { kind: "Status", status: "Failure", message, code: 404 } };
}

describe("reading an AIApp", () => {
  test("takes the namespace of the context, or the one that is named", async () => {
    answer = { status: 200, body: { kind: "AIApp" } };
    const cluster = await openCluster({ kubeconfig });
    expect(await cluster.read("digits", idle)).toEqual({ kind: "AIApp" });
    await (await openCluster({ kubeconfig, context: "two" })).read("digits", idle);
    await (await openCluster({ kubeconfig, namespace: "other" })).read("digits", idle);
    expect(asked).toEqual([
      "GET /apis/aiapp.dev/v1alpha1/namespaces/shop/aiapps/digits",
      "GET /apis/aiapp.dev/v1alpha1/namespaces/default/aiapps/digits",
      "GET /apis/aiapp.dev/v1alpha1/namespaces/other/aiapps/digits",
    ]);
  });

  test.each([
    [
      "an app that is not there",
      notFound('aiapps.aiapp.dev "digits" not found'),
      "AppNotFound",
      "no AIApp digits in the namespace shop",
    ],
    [
      "a cluster without the operator",
      notFound("the server could not find the requested resource"),
      "AppNotFound",
      "does not know AIApps",
    ],
    ["a refusal", { status: 403, body: {} }, "ClusterAuthFailed", "403"],
    ["a failing API server", { status: 500, body: {} }, "ClusterUnavailable", "answered 500"],
    ["a connection that is cut", "cut", "ClusterUnavailable", "could not be asked"],
  ] as const)("tells %s apart", async (_what, given, code, message) => {
    answer = given;
    const cluster = await openCluster({ kubeconfig });
    await expect(cluster.read("digits", idle)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  test("ends when it is aborted, although the API server never answers", async () => {
    answer = "never";
    const cluster = await openCluster({ kubeconfig });
    const stop = new AbortController();
    server.once("request", () => stop.abort());
    await expect(cluster.read("digits", stop.signal)).rejects.toMatchObject({ name: "AbortError" });
  });

  test("needs a kubeconfig and a context that are there", async () => {
    await expect(openCluster({ kubeconfig: join(folder, "none") })).rejects.toMatchObject({
      code: "KubeconfigInvalid",
    });
    await expect(openCluster({ kubeconfig, context: "three" })).rejects.toMatchObject({
      code: "KubeconfigInvalid",
      message: expect.stringContaining("no context three"),
    });
  });
});
