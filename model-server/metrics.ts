import type { AddressInfo } from "node:net";

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

import type { RunReport } from "./engine/options.ts";
import { createStatistics, type RequestTimes, type Statistics } from "./statistics.ts";

/** Names that dashboards for inference servers know (Triton's), with ours beside them. */
export interface Metrics {
  readonly registry: Registry;
  readonly statistics: Statistics;
  readonly addRequest: (times: RequestTimes) => void;
  /** @param ms since the request arrived */
  readonly addFailure: (reason: string, ms: number) => void;
  readonly addRun: (run: RunReport) => void;
  /** @param ms of the images of one run, their wait included */
  readonly addDecoding: (ms: number) => void;
}

export interface MetricsOptions {
  readonly model: string;
  readonly version: string;
  /** Requests and images that wait. */
  readonly pending: () => number;
  /** Milliseconds of the epoch. */
  readonly epoch: () => number;
}

/** An import of node:http reads all that it exports, and one of these loads undici: a tenth of the start. */
const { createServer } = process.getBuiltinModule("node:http");

const SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;
const ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] as const;

export function createMetrics({ model, version, pending, epoch }: MetricsOptions): Metrics {
  const registry = new Registry();
  const statistics = createStatistics(epoch);
  const labels = { model, version };
  const labelNames = ["model", "version"] as const;
  collectDefaultMetrics({ register: registry });

  function count(name: string, help: string, total: () => number): void {
    const counter = new Counter({
      name,
      help,
      labelNames,
      registers: [],
      collect() {
        this.reset();
        this.inc(labels, total());
      },
    });
    registry.registerMetric(counter);
  }
  function histogram(
    name: string,
    help: string,
    buckets: readonly number[],
  ): Histogram.Internal<"model" | "version"> {
    return new Histogram({
      name,
      help,
      labelNames,
      buckets: [...buckets],
      registers: [registry],
    }).labels(labels);
  }

  const { totals } = statistics;
  registry.registerMetric(
    new Gauge({
      name: "nv_inference_pending_request_count",
      help: "Requests and images that wait.",
      registers: [],
      collect() {
        this.set(pending());
      },
    }),
  );
  count("nv_inference_request_success", "Requests that were scored.", () => totals.success.count);
  const failed = new Counter({
    name: "nv_inference_request_failure",
    help: "Requests that were not scored, by reason.",
    labelNames: [...labelNames, "reason"],
    registers: [registry],
  });
  count(
    "nv_inference_count",
    "Rows that were scored: images, or rows of tensors.",
    statistics.rows,
  );
  count("nv_inference_exec_count", "Runs of the model: one for all requests of a batch.", () =>
    statistics.runs(),
  );
  count(
    "aiapp_main_thread_runs_total",
    "Of these, runs so short that no worker was woken for them.",
    () => statistics.mainThreadRuns(),
  );
  const durations = [
    ["request", "success", "From requests' arrival to their answers"],
    ["queue", "queue", "Waiting for a worker"],
    ["compute_input", "input", "Reading requests"],
    ["compute_infer", "compute", "In the runtime"],
    ["compute_output", "output", "Encoding answers"],
  ] as const;
  for (const [name, of, help] of durations)
    count(
      `nv_inference_${name}_duration_us`,
      `${help}: microseconds of all requests that were scored.`,
      () => Math.round(1000 * totals[of].ms),
    );
  const seconds = histogram(
    "aiapp_score_seconds",
    "From the end of a request's body to its answer.",
    SECONDS,
  );
  const queueSeconds = histogram("aiapp_queue_seconds", "Waiting for a worker.", SECONDS);
  const inputSeconds = histogram(
    "aiapp_input_seconds",
    "Reading a request's JSON or raw bytes, once its body has arrived.",
    SECONDS,
  );
  const decodeSeconds = histogram(
    "aiapp_decode_seconds",
    "Decoding the images of one run, their wait included.",
    SECONDS,
  );
  const runSeconds = histogram("aiapp_run_seconds", "A run of the model.", SECONDS);
  const runRows = histogram("aiapp_run_rows", "Rows of a run of the model.", ROWS);

  return {
    registry,
    statistics,
    addRequest: (times) => {
      statistics.addRequest(times);
      seconds.observe(times.total / 1000);
      inputSeconds.observe(times.input / 1000);
    },
    addFailure: (reason, ms) => {
      statistics.addFailure(ms);
      failed.inc({ ...labels, reason });
    },
    addRun: (run) => {
      statistics.addRun(run);
      for (const ms of run.queued) queueSeconds.observe(ms / 1000);
      runSeconds.observe(run.computed / 1000);
      runRows.observe(run.rows);
    },
    addDecoding: (ms) => decodeSeconds.observe(ms / 1000),
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
