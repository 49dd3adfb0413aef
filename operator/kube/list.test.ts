import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { KubeConfig } from "@kubernetes/client-node";
import { afterEach, describe, expect, it } from "vitest";

import { createKube, type Kube } from "./client.ts";
import { kinds } from "./types.ts";

interface Served {
  readonly kube: Kube;
  /** The `limit` and the `resourceVersion` of each request. */
  readonly requests: readonly string[];
}

/** A hundredth of what a response may be, for objects of a hundredth of their size. */
const MAX_BYTES = 671_088;

let server: Server | undefined;
afterEach(() => {
  server?.close();
  server?.closeAllConnections();
});

/** An API server with nothing but a list of objects, each of so many bytes. */
async function serve(count: number, bytes: number): Promise<Served> {
  const requests: string[] = [];
  const padding = "x".repeat(bytes);
  const itemAt = (index: number): unknown => ({
    metadata: { name: `revision-${index}` },
    data: { padding },
    revision: index,
  });
  server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://localhost");
    const version = searchParams.get("resourceVersion") ?? "";
    // As the API server does: a list from its cache is whole.
    const limit = version === "0" ? count : Number(searchParams.get("limit"));
    const start = Number(searchParams.get("continue") ?? 0);
    requests.push(`${searchParams.get("limit")}${version && ` at ${version}`}`);
    const end = Math.min(count, start + limit);
    const items = Array.from({ length: end - start }, (_, index) => itemAt(start + index));
    const next = end < count ? { continue: String(end) } : {};
    response.end(JSON.stringify({ metadata: { resourceVersion: "7", ...next }, items }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: "c", server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: "u" },
  );
  return {
    kube: createKube({ config, requestTimeoutMs: 20_000, maxResponseBytes: MAX_BYTES }),
    requests,
  };
}

const signal = AbortSignal.timeout(60_000);

describe("a list", () => {
  it("reads page after page, and gives each object its type", async () => {
    const { kube, requests } = await serve(1100, 10);
    const { items, resourceVersion } = await kube.list(kinds.controllerRevision, {}, signal);
    expect(items.map(({ revision }) => revision)).toEqual(
      Array.from({ length: 1100 }, (_, index) => index),
    );
    expect(items[0]).toMatchObject({ apiVersion: "apps/v1", kind: "ControllerRevision" });
    expect(resourceVersion).toBe("7");
    expect(requests).toEqual(["500", "500", "500"]);
  });

  it("requests smaller pages of objects that are too large together, and loses none", async () => {
    const { kube, requests } = await serve(50, 14_000);
    const { items } = await kube.list(kinds.controllerRevision, {}, signal);
    expect(items.map(({ revision }) => revision)).toEqual(
      Array.from({ length: 50 }, (_, index) => index),
    );
    expect(requests).toEqual(["500", "250", "125", "62", "31", "31"]);
  });

  it("leaves the server's cache, which has no pages, when its list is too large", async () => {
    const { kube, requests } = await serve(50, 14_000);
    const { items } = await kube.list(kinds.controllerRevision, { resourceVersion: "0" }, signal);
    expect(items).toHaveLength(50);
    expect(requests).toEqual(["500 at 0", "250", "125", "62", "31", "31"]);
  });

  it("fails when one object alone is too large", async () => {
    const { kube, requests } = await serve(1, 680_000);
    await expect(kube.list(kinds.controllerRevision, {}, signal)).rejects.toMatchObject({
      code: "KUBE_UNEXPECTED_RESPONSE",
      message: expect.stringMatching(/larger than 671088 bytes/),
    });
    expect(requests.at(-1)).toBe("1");
  });
});
