import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import type { Registry } from "prom-client";

export interface HealthServers {
  /** Bound ports: the operating system chose them where 0 was configured. */
  readonly healthPort: number;
  readonly metricsPort: number;
  readonly close: () => Promise<void>;
}

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

/** `/healthz` and `/readyz` on one port, `/metrics` on another. */
export async function startHealthServers(options: {
  readonly healthPort: number;
  readonly metricsPort: number;
  readonly registry: Registry;
  readonly isHealthy: () => boolean;
  readonly isReady: () => boolean;
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
  const metrics = createServer((request, response) => {
    if (request.url !== "/metrics") {
      response.statusCode = 404;
      response.end();
      return;
    }
    options.registry.metrics().then(
      (text) => {
        response.setHeader("content-type", options.registry.contentType);
        response.end(text);
      },
      () => {
        response.statusCode = 500;
        response.end("the metrics could not be collected");
      },
    );
  });
  const [healthPort, metricsPort] = await Promise.all([
    listen(health, options.healthPort),
    listen(metrics, options.metricsPort),
  ]);
  return {
    healthPort,
    metricsPort,
    close: async () => {
      await Promise.all([end(health), end(metrics)]);
    },
  };
}
