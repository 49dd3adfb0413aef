import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

/** Names that dashboards for inference servers know (Triton's), with ours beside them. */
export interface Metrics {
  readonly registry: Registry;
  readonly succeeded: Counter<"model" | "version">;
  readonly failed: Counter<"model" | "version" | "reason">;
  readonly rows: Counter<"model" | "version">;
  readonly seconds: Histogram<"model" | "version">;
}

export function createMetrics(pending: () => number): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const labelNames = ["model", "version"] as const;
  registry.registerMetric(
    new Gauge({
      name: "nv_inference_pending_request_count",
      help: "Requests that wait for a worker.",
      registers: [],
      collect() {
        this.set(pending());
      },
    }),
  );
  return {
    registry,
    succeeded: new Counter({
      name: "nv_inference_request_success",
      help: "Requests that were scored.",
      labelNames,
      registers,
    }),
    failed: new Counter({
      name: "nv_inference_request_failure",
      help: "Requests that were not scored, by reason.",
      labelNames: [...labelNames, "reason"],
      registers,
    }),
    rows: new Counter({
      name: "nv_inference_count",
      help: "Rows that were scored: images, or rows of numbers.",
      labelNames,
      registers,
    }),
    seconds: new Histogram({
      name: "aiapp_score_seconds",
      help: "From a request's arrival to its answer.",
      labelNames,
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
  };
}

/** `/metrics` on a port of its own, which the Service does not show to the world. */
export async function serveMetrics(
  registry: Registry,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    if (request.url !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    void registry.metrics().then((text) => {
      response.writeHead(200, { "content-type": registry.contentType }).end(text);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
