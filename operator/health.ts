import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server as NetServer } from "node:net";

import type { Registry } from "prom-client";

import type { Clock } from "./clock.ts";
import type { Logger } from "./log.ts";
import type { Authorize } from "./metrics-access.ts";
import { followCertificate, readCertificate } from "./serving-certificate.ts";

export interface HealthServers {
  /** Bound ports: the operating system chose them where 0 was configured. */
  readonly healthPort: number;
  readonly metricsPort: number;
  readonly close: () => Promise<void>;
}

type Server = NetServer & { readonly closeAllConnections: () => void };

/** Metrics over TLS, for those who may read them. */
export interface MetricsSecurity {
  /** Has tls.crt and tls.key. */
  readonly folder: string;
  readonly authorize: Authorize;
  readonly clock: Clock;
  readonly log: Logger;
}

export const METRICS_PATH = "/metrics";
/** Of clients that have not shown a token yet. */
const CONNECTIONS = 100;
const HANDSHAKE_MS = 10_000;

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, () => resolve((server.address() as AddressInfo).port));
  });
}

function end(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function createMetricsServer(
  registry: Registry,
  security: MetricsSecurity | undefined,
): Promise<{ readonly server: Server; readonly unfollow: () => void }> {
  const serve: RequestListener = (request, response) => {
    respond(registry, security?.authorize, request.url, request.headers.authorization).then(
      ({ status, headers = {}, body = "" }) => {
        response.writeHead(status, headers);
        response.end(body);
      },
      () => {
        response.statusCode = 500;
        response.end("the metrics could not be collected");
      },
    );
  };
  if (security === undefined) return { server: createServer(serve), unfollow: () => {} };
  const certificate = await readCertificate(security.folder);
  const server = createTlsServer({ ...certificate, handshakeTimeout: HANDSHAKE_MS }, serve);
  server.maxConnections = CONNECTIONS;
  const unfollow = followCertificate(server, security.folder, certificate, security);
  return { server, unfollow };
}

const REFUSED = {
  401: {
    headers: { "www-authenticate": "Bearer" },
    body: "a bearer token is needed, such as that of a ServiceAccount",
  },
  403: { body: "RBAC does not let this user get the non-resource URL /metrics" },
  503: { body: "the API server could not be asked who this is: try again later" },
} as const;

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

async function respond(
  registry: Registry,
  authorize: Authorize | undefined,
  url: string | undefined,
  authorization: string | undefined,
): Promise<Answer> {
  if (url !== METRICS_PATH) return { status: 404 };
  const status = authorize === undefined ? 200 : await authorize(authorization);
  if (status !== 200) return { status, ...REFUSED[status] };
  const body = await registry.metrics();
  return { status, headers: { "content-type": registry.contentType }, body };
}

/** `/healthz` and `/readyz` on one port, `/metrics` on another. @throws CONFIG_INVALID about the certificate */
export async function startHealthServers(options: {
  readonly healthPort: number;
  readonly metricsPort: number;
  readonly registry: Registry;
  readonly isHealthy: () => boolean;
  readonly isReady: () => boolean;
  /** Plain HTTP for all clients that can connect when not given. */
  readonly metricsSecurity?: MetricsSecurity | undefined;
}): Promise<HealthServers> {
  const health = createServer((request, response) => {
    const checks: Readonly<Record<string, () => boolean>> = {
      "/healthz": options.isHealthy,
      "/readyz": options.isReady,
    };
    const check = checks[request.url ?? ""];
    response.statusCode = check === undefined ? 404 : check() ? 200 : 503;
    response.end(
      response.statusCode === 200 ? "ok" : response.statusCode === 404 ? "not found" : "not ready",
    );
  });
  const { server: metrics, unfollow } = await createMetricsServer(
    options.registry,
    options.metricsSecurity,
  );
  const [healthPort, metricsPort] = await Promise.all([
    listen(health, options.healthPort),
    listen(metrics, options.metricsPort),
  ]);
  return {
    healthPort,
    metricsPort,
    close: async () => {
      unfollow();
      await Promise.all([end(health), end(metrics)]);
    },
  };
}
