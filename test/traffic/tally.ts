import { z } from "zod";

/** How a request uses its connection: each kind fails in its own way when pods terminate. */
export const kinds = ["keepAlive", "fresh", "pipelined", "idle", "long"] as const;
export type Kind = (typeof kinds)[number];

const Latency = z.object({ p50: z.number(), p99: z.number(), max: z.number() });

/** Milliseconds are since the start, unless the name says otherwise. */
export const Summary = z.object({
  startedAt: z.string(),
  seconds: z.number(),
  requests: z.number(),
  failed: z.number(),
  /** Requests that the driver dropped because too many others were in flight. */
  dropped: z.number(),
  reasons: z.record(z.string(), z.number()),
  kinds: z.partialRecord(
    z.enum(kinds),
    z.object({
      requests: z.number(),
      failed: z.number(),
      connections: z.number(),
      /** Requests on a connection that had served another before. */
      reused: z.number(),
      reasons: z.record(z.string(), z.number()),
      latencyMs: Latency,
    }),
  ),
  releases: z.record(
    z.string(),
    z.object({
      modelVersion: z.string(),
      requests: z.number(),
      failed: z.number(),
      firstMs: z.number(),
      lastMs: z.number(),
      /** RFC 3339: the time of its first right response. */
      firstAt: z.string(),
    }),
  ),
  /** The first failures, with details. */
  failures: z.array(
    z.object({
      atMs: z.number(),
      kind: z.enum(kinds),
      reason: z.string(),
      detail: z.string(),
      /** How often the connection had been used, this request included. */
      use: z.number(),
      tookMs: z.number(),
      release: z.string().optional(),
    }),
  ),
});
export type Summary = z.infer<typeof Summary>;

export interface Outcome {
  readonly kind: Kind;
  readonly use: number;
  readonly tookMs: number;
  readonly release?: string | undefined;
  readonly modelVersion?: string | undefined;
  readonly wrong?: string | undefined;
  readonly detail?: string | undefined;
}

export interface Tally {
  readonly record: (outcome: Outcome) => void;
  readonly drop: () => void;
  readonly summary: () => Summary;
}

const MAX_FAILURES = 100;
const MAX_LATENCY_MS = 60_000;

interface KindTally {
  requests: number;
  failed: number;
  connections: number;
  reused: number;
  readonly reasons: Record<string, number>;
  /** The number of requests by milliseconds: its size does not depend on their number. */
  readonly histogram: Uint32Array;
}

/** Counts outcomes. `now` is monotonic milliseconds, `wallClock` the time of day. */
export function createTally(now: () => number, wallClock: () => number): Tally {
  const began = now();
  const startedAt = wallClock();
  const byKind = new Map<Kind, KindTally>();
  const reasons: Record<string, number> = {};
  const releases: Summary["releases"] = {};
  const failures: Summary["failures"] = [];
  let requests = 0;
  let failed = 0;
  let dropped = 0;

  function kindOf(kind: Kind): KindTally {
    const there = byKind.get(kind);
    if (there) return there;
    const histogram = new Uint32Array(MAX_LATENCY_MS + 1);
    const made = { requests: 0, failed: 0, connections: 0, reused: 0, reasons: {}, histogram };
    byKind.set(kind, made);
    return made;
  }

  function record({ kind, use, tookMs, release, modelVersion, wrong, detail }: Outcome): void {
    const atMs = Math.round(now() - began);
    const tally = kindOf(kind);
    requests += 1;
    tally.requests += 1;
    if (use === 1) tally.connections += 1;
    else tally.reused += 1;
    const bucket = Math.min(MAX_LATENCY_MS, Math.round(tookMs));
    tally.histogram[bucket] = (tally.histogram[bucket] ?? 0) + 1;
    if (wrong !== undefined) {
      failed += 1;
      tally.failed += 1;
      reasons[wrong] = (reasons[wrong] ?? 0) + 1;
      tally.reasons[wrong] = (tally.reasons[wrong] ?? 0) + 1;
      if (failures.length < MAX_FAILURES) {
        failures.push({
          atMs,
          kind,
          reason: wrong,
          detail: detail ?? "",
          use,
          tookMs: Math.round(tookMs),
          ...(release ? { release } : {}),
        });
      }
    }
    if (release === undefined) return;
    const seen = (releases[release] ??= {
      modelVersion: modelVersion ?? "",
      requests: 0,
      failed: 0,
      firstMs: atMs,
      lastMs: atMs,
      firstAt: new Date(wallClock()).toISOString(),
    });
    seen.requests += 1;
    seen.lastMs = atMs;
    if (wrong !== undefined) seen.failed += 1;
  }

  function summary(): Summary {
    const byKindNow: Summary["kinds"] = {};
    for (const [kind, { histogram, ...counts }] of byKind) {
      byKindNow[kind] = structuredClone({
        ...counts,
        latencyMs: percentiles(histogram, counts.requests),
      });
    }
    return structuredClone({
      startedAt: new Date(startedAt).toISOString(),
      seconds: Math.round(now() - began) / 1000,
      requests,
      failed,
      dropped,
      reasons,
      kinds: byKindNow,
      releases,
      failures,
    });
  }

  return {
    record,
    drop: () => {
      dropped += 1;
    },
    summary,
  };
}

function percentiles(histogram: Uint32Array, count: number): z.infer<typeof Latency> {
  const wanted = { p50: Math.ceil(count * 0.5), p99: Math.ceil(count * 0.99), max: count };
  const found = { p50: 0, p99: 0, max: 0 };
  let below = 0;
  for (const [ms, here] of histogram.entries()) {
    if (here === 0) continue;
    for (const key of ["p50", "p99", "max"] as const) {
      if (below < wanted[key] && below + here >= wanted[key]) found[key] = ms;
    }
    below += here;
  }
  return found;
}
