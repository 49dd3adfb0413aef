import { afterEach, describe, expect, it } from "vitest";

import { startHealthServers, type HealthServers } from "./health.ts";
import { createMetrics } from "./metrics.ts";

let servers: HealthServers | undefined;
afterEach(() => servers?.close());

async function start(isReady: () => boolean, metrics = createMetrics()): Promise<HealthServers> {
  servers = await startHealthServers({
    healthPort: 0,
    metricsPort: 0,
    registry: metrics.registry,
    isHealthy: () => true,
    isReady,
  });
  return servers;
}

async function get(port: number, path: string): Promise<readonly [status: number, body: string]> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return [response.status, await response.text()];
}

describe("the health port", () => {
  it("answers whether the process is alive and ready, each time it is asked", async () => {
    let ready = false;
    const { healthPort } = await start(() => ready);
    expect(await get(healthPort, "/healthz")).toEqual([200, "ok"]);
    expect(await get(healthPort, "/readyz")).toEqual([503, "not ready"]);
    ready = true;
    expect(await get(healthPort, "/readyz")).toEqual([200, "ok"]);
    expect(await get(healthPort, "/metrics")).toEqual([404, "not found"]);
  });
});

describe("the metrics port", () => {
  it("serves the process's own metrics and ours", async () => {
    const metrics = createMetrics();
    metrics.releases.inc({ outcome: "released", reason: "Released" });
    metrics.releasePhaseSeconds.observe({ phase: "RollingOut" }, 42);
    metrics.sources.set({ source: "image", state: "ok" }, 2);
    const { metricsPort } = await start(() => true, metrics);
    const [status, text] = await get(metricsPort, "/metrics");
    expect(status).toBe(200);
    expect(text).toContain('aiapp_releases_total{outcome="released",reason="Released"} 1');
    expect(text).toContain('aiapp_release_phase_seconds_bucket{le="60",phase="RollingOut"} 1');
    expect(text).toContain('aiapp_release_phase_seconds_bucket{le="30",phase="RollingOut"} 0');
    expect(text).toContain('aiapp_sources{source="image",state="ok"} 2');
    expect(text).toContain("process_resident_memory_bytes");
  });

  it("answers 500 when a metric cannot be collected, and keeps serving", async () => {
    const metrics = createMetrics();
    let fails = true;
    metrics.observe(() => {
      if (fails) throw new Error("no");
    });
    const { metricsPort } = await start(() => true, metrics);
    expect((await get(metricsPort, "/metrics"))[0]).toBe(500);
    fails = false;
    expect((await get(metricsPort, "/metrics"))[0]).toBe(200);
  });
});
