import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ManualClock } from "../../operator/clock.testing.ts";
import { METRICS_PATH, startHealthServers, type HealthServers } from "../../operator/health.ts";
import { createAccessReview } from "../../operator/kube/access-review.ts";
import { createLogger } from "../../operator/log.ts";
import { createMetricsAccess } from "../../operator/metrics-access.ts";
import { createMetrics } from "../../operator/metrics.ts";
import { ensureBinaries } from "../cluster/binaries.ts";
import { startApiServer, type ApiServer } from "../support/apiserver.ts";
import { createAuthority, issueCertificate, type Authority } from "../support/tls.ts";

/** Metrics with `metrics.secure`: a real API server decides by the chart's own roles who may read them. */

const root = join(import.meta.dirname, "../..");
const clock = new ManualClock();
let server: ApiServer;
let folder: string;
let authority: Authority;
let servers: HealthServers;

async function writeCertificate(host: string): Promise<void> {
  const { cert, key } = await issueCertificate(authority, { hosts: [host] });
  await writeFile(join(folder, "tls.crt"), cert);
  await writeFile(join(folder, "tls.key"), key);
}

beforeAll(async () => {
  // `operator` stands for its ServiceAccount, whose rights the chart binds; tokens of users are reviewed alike.
  server = await startApiServer({ users: ["operator", "prometheus", "other"] });
  await server.kubectl(["create", "namespace", "aiapp-system"]);
  await server.kubectl(["create", "namespace", "shop"]);
  const values = {
    image: { repository: "contoso.azurecr.io/operator" },
    tenantNamespaces: ["shop"],
    metrics: { secure: true },
  };
  const where = ["--namespace", "aiapp-system", "--kubeconfig", server.kubeconfig];
  await execa(
    process.env["HELM_BINARY"] ?? (await ensureBinaries()).helm,
    ["install", "operator", join(root, "charts/aiapp-operator"), ...where, "--values", "-"],
    { input: JSON.stringify(values) },
  );
  for (const [role, user] of [
    ["operator-metrics-review", "operator"],
    ["operator-metrics-reader", "prometheus"],
  ] as const) {
    await server.kubectl([
      "create",
      "clusterrolebinding",
      user,
      "--clusterrole",
      role,
      "--user",
      user,
    ]);
  }
  folder = await mkdtemp(join(tmpdir(), "aiapp-metrics-"));
  authority = await createAuthority(folder);
  await writeCertificate("metrics.test");
  const log = createLogger("silent");
  const review = createAccessReview(await server.kubeconfigFor({ user: "operator" }));
  servers = await startHealthServers({
    healthPort: 0,
    metricsPort: 0,
    registry: createMetrics().registry,
    isHealthy: () => true,
    isReady: () => true,
    metricsSecurity: {
      folder,
      authorize: createMetricsAccess({ review, path: METRICS_PATH, clock, log }),
      clock,
      log,
    },
  });
});
afterAll(async () => {
  await servers?.close();
  await server?.close();
  await rm(folder, { recursive: true, force: true });
});

/** @param host what the certificate has to be for */
function get(
  token: string | undefined,
  host = "metrics.test",
): Promise<{ readonly status: number | undefined; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: "127.0.0.1",
        port: servers.metricsPort,
        path: METRICS_PATH,
        ca: authority.certificate,
        servername: host,
        agent: false,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      },
      (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          body += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode, body }));
      },
    );
    sent.on("error", reject).end();
  });
}

describe("metrics with metrics.secure", () => {
  it("are read by a user whom RBAC lets get /metrics", async () => {
    const { status, body } = await get("prometheus-token");
    expect(status).toBe(200);
    expect(body).toContain("process_resident_memory_bytes");
  });

  it("are read by no other: not without a token, with a made-up one, or without the right", async () => {
    const answers = await Promise.all([undefined, "made-up", "other-token"].map((one) => get(one)));
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 403]);
    expect(answers.map(({ body }) => body).join("")).not.toContain("process_");
  });

  it("are not served without TLS", async () => {
    const plain = fetch(`http://127.0.0.1:${servers.metricsPort}${METRICS_PATH}`);
    await expect(plain).rejects.toThrow("fetch failed");
  });

  it("are served with a rotated certificate, and with the one before while the new one is not whole", async () => {
    await writeFile(join(folder, "tls.crt"), "half");
    await clock.advance(31_000);
    expect((await get("prometheus-token")).status).toBe(200);
    await writeCertificate("new.test");
    // Reading files takes turns of the event loop that the clock does not wait for.
    await expect
      .poll(async () => {
        await clock.advance(31_000);
        return get("prometheus-token", "new.test").then(
          ({ status }) => status,
          () => "the certificate before",
        );
      })
      .toBe(200);
    await expect(get("prometheus-token", "metrics.test")).rejects.toThrow("altnames");
  });

  it("have a self-signed certificate by default, which an upgrade keeps", async () => {
    const secret = async (): Promise<string> =>
      server.kubectl([
        "get",
        "secret",
        "operator-metrics-tls",
        "--namespace=aiapp-system",
        "--output=jsonpath={.type} {.data}",
      ]);
    const before = await secret();
    expect(before).toMatch(/^kubernetes.io\/tls \{"ca\.crt":"[^"]+","tls\.crt":"[^"]+"/);
    const where = ["--namespace", "aiapp-system", "--kubeconfig", server.kubeconfig];
    await execa(process.env["HELM_BINARY"] ?? (await ensureBinaries()).helm, [
      "upgrade",
      "operator",
      join(root, "charts/aiapp-operator"),
      ...where,
      "--reuse-values",
    ]);
    expect(await secret()).toBe(before);
  });
});
