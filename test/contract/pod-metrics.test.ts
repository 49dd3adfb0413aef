import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createMetrics, serveMetrics } from "../../model-server/metrics.ts";
import { quantile } from "../../operator/aiapp/canary-meter.ts";
import { scrapePod } from "../../operator/aiapp/pod-metrics.ts";

/** What the operator reads of a canary is what the model server shows. */

const metrics = createMetrics({ model: "m", version: "1", pending: () => 0, epoch: () => 0 });
let server: Awaited<ReturnType<typeof serveMetrics>>;

beforeAll(async () => {
  server = await serveMetrics(metrics.registry, { host: "127.0.0.1", port: 0 });
});
afterAll(() => server.close());

describe("the metrics of the model server", () => {
  it("say how many requests were answered and failed, and how long the answers took", async () => {
    const times = { total: 20, queue: 1, input: 1, compute: 1, output: 1, rows: 1 };
    for (let requests = 0; requests < 3; requests += 1) metrics.addRequest(times);
    metrics.addFailure("REQUEST_INVALID", 1);
    metrics.addFailure("WORKER_LOST", 1);
    const pod = { uid: "a", ip: "127.0.0.1", port: server.port };
    const read = await scrapePod(pod, AbortSignal.timeout(5000));
    expect(read).toMatchObject({ requests: 4, errors: 1 });
    expect(read?.buckets.at(-1)).toEqual([Number.POSITIVE_INFINITY, 3]);
    const p95 = quantile(0.95, read?.buckets ?? []);
    expect(p95).toBeGreaterThan(10);
    expect(p95).toBeLessThan(25);
  });
});
