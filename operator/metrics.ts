import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

/** Metrics under the names that controller dashboards know (controller-runtime, client-go), and ours as `aiapp_*`. */
export interface Metrics {
  readonly registry: Registry;
  /** Calls back before each scrape, for what is computed then; the returned function ends that. */
  readonly observe: (callback: () => void) => () => void;
  readonly reconcileTotal: Counter<"controller" | "result">;
  readonly reconcileErrors: Counter<"controller">;
  readonly reconcileSeconds: Histogram<"controller">;
  readonly queueDepth: Gauge<"name">;
  readonly queueAdds: Counter<"name">;
  readonly queueRetries: Counter<"name">;
  readonly queueWaitSeconds: Histogram<"name">;
  readonly queueWorkSeconds: Histogram<"name">;
  readonly queueUnfinishedSeconds: Gauge<"name">;
  readonly queueLongestSeconds: Gauge<"name">;
  readonly kubeRequests: Counter<"method" | "code" | "host">;
  readonly leader: Gauge<"name">;
  readonly polls: Counter<"source" | "result">;
  readonly releases: Counter<"outcome">;
}

const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60];

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const observers = new Set<() => void>();
  return {
    registry,
    observe: (callback) => {
      observers.add(callback);
      return () => {
        observers.delete(callback);
      };
    },
    reconcileTotal: new Counter({
      name: "controller_runtime_reconcile_total",
      help: "Reconciles by result.",
      labelNames: ["controller", "result"],
      registers,
    }),
    reconcileErrors: new Counter({
      name: "controller_runtime_reconcile_errors_total",
      help: "Reconciles that failed.",
      labelNames: ["controller"],
      registers,
    }),
    reconcileSeconds: new Histogram({
      name: "controller_runtime_reconcile_time_seconds",
      help: "How long a reconcile took.",
      labelNames: ["controller"],
      buckets: SECONDS,
      registers,
    }),
    queueDepth: new Gauge({
      name: "workqueue_depth",
      help: "Keys that wait.",
      labelNames: ["name"],
      registers,
    }),
    queueAdds: new Counter({
      name: "workqueue_adds_total",
      help: "Keys added.",
      labelNames: ["name"],
      registers,
    }),
    queueRetries: new Counter({
      name: "workqueue_retries_total",
      help: "Keys that came back after a failure.",
      labelNames: ["name"],
      registers,
    }),
    queueWaitSeconds: new Histogram({
      name: "workqueue_queue_duration_seconds",
      help: "How long a key waited.",
      labelNames: ["name"],
      buckets: SECONDS,
      registers,
    }),
    queueWorkSeconds: new Histogram({
      name: "workqueue_work_duration_seconds",
      help: "How long a key was worked on.",
      labelNames: ["name"],
      buckets: SECONDS,
      registers,
    }),
    queueUnfinishedSeconds: new Gauge({
      name: "workqueue_unfinished_work_seconds",
      help: "How long the work under way has taken so far, in sum.",
      labelNames: ["name"],
      registers,
      collect: () => {
        for (const callback of observers) callback();
      },
    }),
    queueLongestSeconds: new Gauge({
      name: "workqueue_longest_running_processor_seconds",
      help: "How long the longest work under way has taken so far.",
      labelNames: ["name"],
      registers,
    }),
    kubeRequests: new Counter({
      name: "rest_client_requests_total",
      help: "Requests to the Kubernetes API.",
      labelNames: ["method", "code", "host"],
      registers,
    }),
    leader: new Gauge({
      name: "leader_election_master_status",
      help: "1 while this replica leads.",
      labelNames: ["name"],
      registers,
    }),
    polls: new Counter({
      name: "aiapp_polls_total",
      help: "Polls of registries and stores by result.",
      labelNames: ["source", "result"],
      registers,
    }),
    releases: new Counter({
      name: "aiapp_releases_total",
      help: "Releases by how they ended.",
      labelNames: ["outcome"],
      registers,
    }),
  };
}
