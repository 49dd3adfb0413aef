import type { Metrics } from "../metrics.ts";
import type { PolledSource } from "./polled-source.ts";
import { sourceKinds } from "./source.ts";

/** Sets the gauges of sources by kind. A source that no poll has read yet counts as `pending`, and has no time. */
export function setSourceGauges(metrics: Metrics, polled: Iterable<PolledSource>): void {
  const entries = [...polled];
  for (const source of sourceKinds) {
    const states = entries.filter((one) => one.source.kind === source).map(({ state }) => state);
    const failing = states.filter(({ error }) => error !== undefined).length;
    const ok = states.filter(({ error, value }) => error === undefined && value !== undefined);
    metrics.sources.set({ source, state: "failing" }, failing);
    metrics.sources.set({ source, state: "ok" }, ok.length);
    metrics.sources.set({ source, state: "pending" }, states.length - failing - ok.length);
    const times = states.flatMap(({ checkedAt }) => checkedAt ?? []);
    const oldest = times.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    const last = times.reduce((a, b) => Math.max(a, b), 0);
    if (times.length === 0) {
      metrics.sourceOldestCheck.remove({ source });
      metrics.sourceLastCheck.remove({ source });
      continue;
    }
    metrics.sourceOldestCheck.set({ source }, oldest / 1000);
    metrics.sourceLastCheck.set({ source }, last / 1000);
  }
}
