import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { execa } from "execa";
import { beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments, stringify } from "yaml";
import { z } from "zod";

import { createMetrics, type Metrics } from "../../operator/metrics.ts";
import { ensureBinaries } from "../cluster/binaries.ts";
import { ask, BUILD_TIMEOUT_MS } from "../judges/judges.ts";

/** The alerts and the dashboard of the chart, held to Prometheus's own parser and to the metrics that the operator has. */

const root = join(import.meta.dirname, "../..");
const ALL = { rules: { enabled: true }, dashboard: { enabled: true } };

const Rendered = z.object({ kind: z.string(), metadata: z.object({ name: z.string() }) });

async function render(monitoring: unknown): Promise<readonly unknown[]> {
  const binary = process.env["HELM_BINARY"] ?? (await ensureBinaries()).helm;
  const { stdout } = await execa(
    binary,
    [
      "template",
      "operator",
      join(root, "charts/aiapp-operator"),
      "--kube-version",
      "1.30.0",
      "--namespace",
      "aiapp-system",
      "--values",
      "-",
    ],
    {
      input: JSON.stringify({
        image: { repository: "contoso.azurecr.io/operator" },
        tenantNamespaces: ["shop"],
        monitoring,
      }),
    },
  );
  return parseAllDocuments(stdout).map((document): unknown => document.toJS());
}

function ofKind(objects: readonly unknown[], kind: string, name: string): unknown {
  return objects.find((object) => {
    const { data } = Rendered.safeParse(object);
    return data?.kind === kind && data.metadata.name === name;
  });
}

/** Labels that Prometheus gives to each series of a scraped target. */
const TARGET_LABELS = ["job", "namespace", "pod", "service", "instance", "endpoint", "container"];

/** The labels of each series that the operator exposes, by the name of the series. */
function exposed(): ReadonlyMap<string, ReadonlySet<string>> {
  const Metric = z.object({
    name: z.string(),
    type: z.string().optional(),
    labelNames: z.array(z.string()),
  });
  const metrics = z.array(Metric).parse(createMetrics().registry.getMetricsAsArray());
  return new Map(
    metrics.flatMap(({ name, labelNames }) =>
      ["", "_bucket", "_sum", "_count"].map((suffix) => [
        `${name}${suffix}`,
        new Set([...labelNames, ...TARGET_LABELS, ...(suffix === "_bucket" ? ["le"] : [])]),
      ]),
    ),
  );
}

const Expression = z.object({
  error: z.string().optional(),
  selectors: z.array(z.object({ metric: z.string(), labels: z.array(z.string()) })),
  grouping: z.array(z.string()),
});

/** What is wrong with expressions: syntax, and metrics and labels that the operator does not have. */
async function faultsOf(expressions: readonly string[]): Promise<readonly string[]> {
  const series = exposed();
  const parsed = z.array(Expression).parse(await ask("promql", expressions));
  return parsed.flatMap(({ error, selectors, grouping }, index) => {
    const fault = (what: string): string => `${what} in ${expressions[index]}`;
    if (error !== undefined) return [fault(error)];
    const known = new Set(selectors.flatMap(({ metric }) => [...(series.get(metric) ?? [])]));
    return [
      ...selectors.flatMap(({ metric, labels }) => {
        const has = series.get(metric);
        if (has === undefined) return [fault(`no metric ${metric}`)];
        return labels.filter((label) => !has.has(label)).map((label) => fault(`no label ${label}`));
      }),
      ...grouping.filter((label) => !known.has(label)).map((label) => fault(`no label ${label}`)),
    ];
  });
}

beforeAll(() => ask("promql", ["up"]), BUILD_TIMEOUT_MS);

it("an expression with a metric, a label or syntax that does not exist is found", async () => {
  expect(
    await faultsOf(["aiapp_app", 'aiapp_apps{kind="x"}', "sum(", "sum by (tag) (aiapp_apps)"]),
  ).toMatchObject([
    expect.stringContaining("no metric aiapp_app"),
    expect.stringContaining("no label kind"),
    expect.stringContaining("parse error"),
    expect.stringContaining("no label tag"),
  ]);
});

it("a rule that Prometheus does not load is found", async () => {
  const rule = { alert: "X", expr: "up", annotations: { summary: "{{ $labels.app" } };
  const text = stringify({ groups: [{ name: "x", rules: [rule] }] });
  expect(await ask("rules", [text])).toMatchObject([{ errors: [expect.any(String)] }]);
});

it("the chart renders neither alerts nor a dashboard unless they are enabled", async () => {
  const objects = await render({});
  expect(ofKind(objects, "PrometheusRule", "operator")).toBeUndefined();
  expect(ofKind(objects, "ConfigMap", "operator-dashboard")).toBeUndefined();
});

describe("the alerts", () => {
  const Rule = z.object({
    alert: z.string(),
    expr: z.string(),
    labels: z.object({ severity: z.enum(["critical", "warning", "info"]) }),
    annotations: z.object({
      summary: z.string().max(100),
      description: z.string(),
      runbook_url: z.string(),
    }),
  });
  const PrometheusRule = z.object({
    spec: z.object({ groups: z.array(z.object({ name: z.string(), rules: z.array(Rule) })) }),
  });
  let spec: z.infer<typeof PrometheusRule>["spec"];
  let rules: readonly z.infer<typeof Rule>[];

  beforeAll(async () => {
    const object = ofKind(await render(ALL), "PrometheusRule", "operator");
    ({ spec } = PrometheusRule.parse(object));
    rules = spec.groups.flatMap((group) => group.rules);
  });

  it("are loaded by Prometheus", async () => {
    const [answer] = await ask("rules", [stringify(spec)]);
    expect(answer).toEqual({ errors: [], rules: rules.length });
  });

  it("use metrics and labels that the operator has", async () => {
    expect(await faultsOf(rules.map(({ expr }) => expr))).toEqual([]);
  });

  const NOW = Date.parse("2026-03-01T12:00:00Z") / 1000;
  const HOUR = 3600;

  /** Alerts that fire at NOW, with what they name, when Prometheus scraped these metrics of the leader. */
  async function firing(set: (metrics: Metrics) => void): Promise<readonly string[]> {
    const metrics = createMetrics();
    set(metrics);
    const series = await scraped(metrics);
    const inputs = rules.map(({ expr }) => ({ expression: expr, time: NOW, series }));
    const answers = z.array(Vector).parse(await ask("evaluate", inputs));
    return rules.flatMap(({ alert }, index) =>
      (answers[index] ?? []).map(({ labels: { app, reason, source, priority } }) =>
        [alert, app, reason, source, priority].filter((part) => part !== undefined).join(" "),
      ),
    );
  }

  const Vector = z.array(z.object({ labels: z.record(z.string(), z.string()) }));
  const Scraped = z.array(
    z.object({
      name: z.string(),
      values: z.array(
        z.object({
          // The event loop has no figures before its first turn.
          value: z.union([z.number(), z.nan()]),
          metricName: z.string().optional(),
          labels: z.record(z.string(), z.union([z.string(), z.number()])),
        }),
      ),
    }),
  );

  /** The series as Prometheus stores them: with the labels of the target. */
  async function scraped({ registry }: Metrics): Promise<readonly unknown[]> {
    const target = { job: "operator-metrics", namespace: "aiapp-system", pod: "operator-1" };
    return Scraped.parse(await registry.getMetricsAsJSON()).flatMap(({ name, values }) =>
      values.flatMap(({ value, metricName = name, labels }) => {
        if (Number.isNaN(value)) return [];
        const own = Object.entries(labels).map(([label, text]) => [label, String(text)]);
        return [{ labels: { __name__: metricName, ...target, ...Object.fromEntries(own) }, value }];
      }),
    );
  }

  /** An operator that leads, has polled just now, and has no app with a problem. */
  function healthy(metrics: Metrics): void {
    metrics.leader.set({ name: "aiapp-operator" }, 1);
    metrics.apps.set(2);
    for (const source of ["image", "model"]) {
      metrics.sourceLastCheck.set({ source }, NOW - 20);
      metrics.sourceOldestCheck.set({ source }, NOW - 60);
    }
    metrics.queueOldestSeconds.set({ name: "aiapp", priority: "user" }, 0.2);
  }

  function problem(metrics: Metrics, app: string, name: string, reason: string, age: number): void {
    const labels = { app_namespace: "shop", app, problem: name, reason };
    metrics.problems.set(labels, NOW - age);
  }

  it("do not fire while all is well, or has failed only just now", async () => {
    expect(await firing(healthy)).toEqual([]);
    const young = await firing((metrics) => {
      healthy(metrics);
      problem(metrics, "cats", "Outage", "PodNotReady", 30);
      problem(metrics, "dogs", "NotReady", "Verifying", 10 * 60);
      problem(metrics, "dogs", "SourcesFailing", "RegistryThrottled", 60);
      problem(metrics, "dogs", "NotificationsFailing", "NotificationFailed", 60);
      problem(metrics, "dogs", "Unrecoverable", "ModelGone", 60);
      // Webhooks that hang delay no AIApp.
      metrics.queueOldestSeconds.set({ name: "notifications", priority: "default" }, HOUR);
      problem(metrics, "birds", "AwaitingApproval", "AwaitingApproval", 2 * HOUR);
    });
    expect(young).toEqual([]);
  });

  it("name the app and the reason", async () => {
    const fired = await firing((metrics) => {
      healthy(metrics);
      problem(metrics, "cats", "Outage", "PodCrashing", 5 * 60);
      problem(metrics, "cats", "Stalled", "PodCrashing", HOUR);
      problem(metrics, "dogs", "ReleaseFailed", "VerificationFailed", 10);
      problem(metrics, "dogs", "Stalled", "VerificationFailed", HOUR);
      problem(metrics, "birds", "Stalled", "HoldInvalid", HOUR);
      problem(metrics, "birds", "SourcesFailing", "StorageAuthFailed", HOUR);
      problem(metrics, "birds", "NotificationsFailing", "NotificationFailed", HOUR);
      problem(metrics, "birds", "Unrecoverable", "ModelGone", HOUR);
      problem(metrics, "fish", "NotReady", "ModelNotFound", HOUR);
      problem(metrics, "mice", "AwaitingApproval", "AwaitingApproval", 25 * HOUR);
    });
    expect(fired).toEqual([
      "AIAppOutage cats PodCrashing",
      "AIAppNeverServed fish ModelNotFound",
      "AIAppReleaseFailed dogs VerificationFailed",
      // Of an app that has another alert, Stalled says nothing new.
      "AIAppStalled birds HoldInvalid",
      "AIAppSourcesFailing birds StorageAuthFailed",
      "AIAppUnrecoverable birds ModelGone",
      "AIAppNotificationsFailing birds NotificationFailed",
      "AIAppAwaitingApproval mice",
    ]);
  });

  it("fire for an operator without a leader, and for one that is gone", async () => {
    const standby = await firing((metrics) => {
      healthy(metrics);
      metrics.leader.set({ name: "aiapp-operator" }, 0);
    });
    expect(standby).toEqual(["AIAppOperatorNoLeader"]);
    const gone = await firing((metrics) => {
      healthy(metrics);
      metrics.leader.reset();
    });
    expect(gone).toEqual(["AIAppOperatorNoLeader"]);
  });

  it("fire for polling that stopped, for a queue that is behind, and for memory", async () => {
    const fired = await firing((metrics) => {
      healthy(metrics);
      metrics.sourceLastCheck.set({ source: "image" }, NOW - 2 * HOUR);
      metrics.sourceOldestCheck.set({ source: "image" }, NOW - 3 * HOUR);
      metrics.sourceOldestCheck.set({ source: "model" }, NOW - 2 * HOUR);
      metrics.queueOldestSeconds.set({ name: "aiapp", priority: "release" }, 400);
      // Keys wait there for their back-off.
      metrics.queueOldestSeconds.set({ name: "aiapp", priority: "retry" }, 900);
      Object.assign(metrics.memoryLimit, {
        collect() {
          metrics.memoryLimit.set(process.memoryUsage.rss() * 1.05);
        },
      });
    });
    expect(fired).toEqual([
      "AIAppPollingStopped image",
      "AIAppSourceNotPolled image",
      "AIAppSourceNotPolled model",
      "AIAppQueueDelayed release",
      "AIAppOperatorMemory",
    ]);
  });

  it("link to a heading of a page in docs/", () => {
    const headings = new Map(
      readdirSync(join(root, "docs"))
        .filter((name) => name.endsWith(".md"))
        .map((name) => {
          const page = readFileSync(join(root, "docs", name), "utf8");
          const found = [...page.matchAll(/^#+ (.*)$/gm)].map(([, text = ""]) =>
            text.toLowerCase().replaceAll(" ", "-"),
          );
          return [name, new Set(found)] as const;
        }),
    );
    const broken = rules.filter(({ annotations }) => {
      const [, page = "", anchor = ""] = /^docs\/(.*)#(.*)$/.exec(annotations.runbook_url) ?? [];
      return headings.get(page)?.has(anchor) !== true;
    });
    expect(broken.map(({ alert }) => alert)).toEqual([]);
  });

  it("are all described in docs/operations.md, and no others are", () => {
    const page = readFileSync(join(root, "docs/operations.md"), "utf8");
    const described = [...page.matchAll(/`(AIApp[A-Z]\w+)`|^### (AIApp\w+)$/gm)].map(
      ([, code, heading]) => code ?? heading,
    );
    expect(new Set(described)).toEqual(new Set(rules.map(({ alert }) => alert)));
  });
});

describe("the dashboard", () => {
  const Datasource = z.object({
    type: z.literal("prometheus"),
    uid: z.literal("${datasource}"),
  });
  const Grid = z.object({
    x: z.int().min(0).max(23),
    y: z.int().min(0),
    w: z.int().min(1).max(24),
    h: z.int().min(1),
  });
  const Row = z.strictObject({
    id: z.int(),
    type: z.literal("row"),
    title: z.string(),
    collapsed: z.literal(false),
    gridPos: Grid,
    panels: z.array(z.never()),
  });
  const Chart = z.strictObject({
    id: z.int(),
    type: z.enum(["timeseries", "stat", "table"]),
    title: z.string(),
    description: z.string(),
    datasource: Datasource,
    gridPos: Grid,
    fieldConfig: z.strictObject({
      defaults: z.strictObject({
        unit: z.enum(["short", "s", "bytes", "ops", "reqps"]),
        min: z.number().optional(),
      }),
      overrides: z.array(z.never()),
    }),
    targets: z
      .array(
        z.strictObject({
          refId: z.string().regex(/^[A-Z]$/),
          datasource: Datasource,
          expr: z.string(),
          legendFormat: z.string(),
          format: z.literal("table").optional(),
          instant: z.boolean().optional(),
        }),
      )
      .min(1),
  });
  const Board = z.strictObject({
    uid: z.string().max(40),
    title: z.string(),
    tags: z.array(z.string()),
    schemaVersion: z.int().min(36),
    editable: z.boolean(),
    refresh: z.string(),
    time: z.object({ from: z.string(), to: z.string() }),
    templating: z.object({ list: z.array(z.object({ name: z.string(), type: z.string() })) }),
    panels: z.array(z.discriminatedUnion("type", [Row, Chart])),
  });
  let board: z.infer<typeof Board>;

  beforeAll(async () => {
    const object = ofKind(await render(ALL), "ConfigMap", "operator-dashboard");
    const { data } = z.object({ data: z.record(z.string(), z.string()) }).parse(object);
    board = Board.parse(JSON.parse(data["aiapp-operator.json"] ?? ""));
  });

  it("has a row for each part of the operator", () => {
    const rows = board.panels.filter(({ type }) => type === "row").map(({ title }) => title);
    expect(rows).toEqual(["AIApps", "Releases", "Polling", "Queue", "API server", "Memory"]);
  });

  it("uses metrics and labels that the operator has", async () => {
    const expressions = board.panels.flatMap((panel) =>
      panel.type === "row" ? [] : panel.targets.map(({ expr }) => expr),
    );
    const filled = expressions.map((expr) =>
      expr.replaceAll("$__rate_interval", "5m").replaceAll("$job", "operator-metrics"),
    );
    expect(filled.filter((expr) => expr.includes("$"))).toEqual([]);
    expect(await faultsOf(filled)).toEqual([]);
  });

  it("has panels that do not overlap, with ids of their own", () => {
    const cells = board.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from(
        { length: w * h },
        (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`,
      ),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...board.panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
  });
});
