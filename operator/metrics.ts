import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

/** Metrics under the names that controller dashboards know (controller-runtime, client-go), and ours as `aiapp_*`. */
export interface Metrics {
  readonly registry: Registry;
  /** Calls back before each scrape, for gauges that are computed then; the returned function ends that. */
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
  readonly queuePending: Gauge<"name" | "priority">;
  readonly queueOldestSeconds: Gauge<"name" | "priority">;
  readonly kubeRequests: Counter<"method" | "code" | "host">;
  readonly leader: Gauge<"name">;
  readonly polls: Counter<"source" | "result">;
  /** Polled sources by kind and by what the last poll gave; `pending` before the first one. */
  readonly sources: Gauge<"source" | "state">;
  /** Seconds since the epoch: of the source of that kind whose last successful poll is the longest ago. */
  readonly sourceOldestCheck: Gauge<"source">;
  /** Seconds since the epoch: of the latest successful poll of that kind. */
  readonly sourceLastCheck: Gauge<"source">;
  readonly releases: Counter<"outcome" | "reason">;
  readonly releasePhaseSeconds: Histogram<"phase">;
  readonly notifications: Counter<"type" | "result">;
  readonly apps: Gauge;
  /** Seconds since the epoch: since when an app has a problem. Apps without one have no series. */
  readonly problems: Gauge<"app_namespace" | "app" | "problem" | "reason">;
  /** Bytes; absent where nothing limits the process. */
  readonly memoryLimit: Gauge;
}

const MAX_MEMORY_BYTES = 2 ** 50;
const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60];
/** A phase lasts from a poll of the other source (seconds) to a release window (days). */
const PHASE_SECONDS = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 6 * 3600, 86_400, 7 * 86_400];

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const observers = new Set<() => void>();
  function observe(callback: () => void): () => void {
    observers.add(callback);
    return () => {
      observers.delete(callback);
    };
  }
  function collect(): void {
    for (const callback of observers) callback();
  }
  return {
    registry,
    observe,
    ...controllerMetrics(registry, collect),
    ...sourceMetrics(registry),
    ...releaseMetrics(registry),
    ...appMetrics(registry),
    memoryLimit: memoryLimit(registry),
  };
}

/** Names and meaning as in controller-runtime and client-go. */
function controllerMetrics(registry: Registry, collect: () => void) {
  const registers = [registry];
  return {
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
      help: "Keys that wait for a worker.",
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
      help: "How long a key waited for a worker.",
      labelNames: ["name"],
      buckets: SECONDS,
      registers,
    }),
    queueWorkSeconds: new Histogram({
      name: "workqueue_work_duration_seconds",
      help: "How long the work on a key took.",
      labelNames: ["name"],
      buckets: SECONDS,
      registers,
    }),
    // The first of the computed gauges: its `collect` sets them all, and they are collected in this order.
    queueUnfinishedSeconds: new Gauge({
      name: "workqueue_unfinished_work_seconds",
      help: "Sum of how long the work in flight has taken so far.",
      labelNames: ["name"],
      registers,
      collect,
    }),
    queueLongestSeconds: new Gauge({
      name: "workqueue_longest_running_processor_seconds",
      help: "How long the longest work in flight has taken so far.",
      labelNames: ["name"],
      registers,
    }),
    queuePending: new Gauge({
      name: "aiapp_queue_pending",
      help: "Keys that wait for a worker, by priority (user, rollout, release, default, background, retry).",
      labelNames: ["name", "priority"],
      registers,
    }),
    queueOldestSeconds: new Gauge({
      name: "aiapp_queue_oldest_seconds",
      help: "How long the oldest pending key has waited, by priority; 0 when none waits.",
      labelNames: ["name", "priority"],
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
  } as const;
}

/** Labels hold the kind of a source only: names of tenants and tags would be without bound. */
function sourceMetrics(registry: Registry) {
  const registers = [registry];
  return {
    polls: new Counter({
      name: "aiapp_polls_total",
      help: "Polls of registries and model stores by result (changed, unchanged, failed, refused).",
      labelNames: ["source", "result"],
      registers,
    }),
    sources: new Gauge({
      name: "aiapp_sources",
      help: "Distinct sources that are polled, by kind (image, model) and state (pending, ok, failing).",
      labelNames: ["source", "state"],
      registers,
    }),
    sourceOldestCheck: new Gauge({
      name: "aiapp_source_oldest_check_timestamp_seconds",
      help: "Last successful poll of the source that was polled the longest ago, by kind: it stands still when one source is no longer polled or keeps failing.",
      labelNames: ["source"],
      registers,
    }),
    sourceLastCheck: new Gauge({
      name: "aiapp_source_last_check_timestamp_seconds",
      help: "Latest successful poll of any source, by kind: it stands still when polling has stopped.",
      labelNames: ["source"],
      registers,
    }),
  } as const;
}

function releaseMetrics(registry: Registry) {
  const registers = [registry];
  return {
    releases: new Counter({
      name: "aiapp_releases_total",
      help: "Releases by outcome (released, failed, superseded) and the reason of the last transition.",
      labelNames: ["outcome", "reason"],
      registers,
    }),
    releasePhaseSeconds: new Histogram({
      name: "aiapp_release_phase_seconds",
      help: "How long a release was in a phase, observed when it leaves the phase.",
      labelNames: ["phase"],
      buckets: PHASE_SECONDS,
      registers,
    }),
    notifications: new Counter({
      name: "aiapp_notifications_total",
      help: "Attempts to send notifications by type of webhook and result (delivered, failed), and notifications that were given up (dropped).",
      labelNames: ["type", "result"],
      registers,
    }),
  } as const;
}

/** Not `namespace` and `name`: Prometheus would rename them, as the scraped target has labels of those names. */
function appMetrics(registry: Registry) {
  const registers = [registry];
  return {
    apps: new Gauge({
      name: "aiapp_apps",
      help: "AIApps that the leader has reconciled.",
      registers,
    }),
    problems: new Gauge({
      name: "aiapp_problem_since_timestamp_seconds",
      help: "Since when an AIApp has a problem (Outage, NotReady, ReleaseFailed, Stalled, AwaitingApproval, SourcesFailing); no series while it has none. At most 2000 apps at once.",
      labelNames: ["app_namespace", "app", "problem", "reason"],
      registers,
    }),
  } as const;
}

function memoryLimit(registry: Registry): Gauge {
  return new Gauge({
    name: "aiapp_operator_memory_limit_bytes",
    help: "Memory that the operator's container may use.",
    registers: [registry],
    collect() {
      const bytes = process.constrainedMemory();
      // Without a limit the kernel reports none, or more than any machine has.
      if (bytes > 0 && bytes < MAX_MEMORY_BYTES) this.set(bytes);
      else this.remove();
    },
  });
}
