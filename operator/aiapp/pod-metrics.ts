import { request } from "undici";

import { readBounded } from "../body.ts";
import type { MeasuredPod, PodCounters } from "./canary-meter.ts";

/** The model server's metrics are 10 KiB. */
const MAX_BYTES = 256 * 1024;
const MAX_BUCKETS = 64;

/** Reads the metrics of a model server; undefined when another server responds, or none. Follows no redirects. */
export async function scrapePod(
  { ip, port }: MeasuredPod,
  signal: AbortSignal,
): Promise<PodCounters | undefined> {
  const host = ip.includes(":") ? `[${ip}]` : ip;
  const { statusCode, body } = await request(`http://${host}:${port}/metrics`, { signal });
  const { bytes, whole } = await readBounded(body, MAX_BYTES);
  return statusCode === 200 && whole ? readCounters(bytes.toString("utf8")) : undefined;
}

/** Failures that are the server's fault, by the codes of its errors. */
const SERVER_FAULTS: ReadonlySet<string | undefined> = new Set([
  "INTERNAL",
  "OVERLOADED",
  "NOT_READY",
  "TIMED_OUT",
  "WORKER_LOST",
  "OUT_OF_MEMORY",
]);

const LINE =
  /^(?<name>nv_inference_request_success|nv_inference_request_failure|aiapp_score_seconds_bucket)(?:\{(?<labels>[^}]{0,1024})\})? (?<value>\d+(?:\.\d+)?)$/;

/** Reads three metrics of the model server from Prometheus' text format. */
export function readCounters(text: string): PodCounters | undefined {
  const buckets = new Map<number, number>();
  let requests = 0;
  let errors = 0;
  let isOurs = false;
  for (const line of text.split("\n")) {
    const { name, labels = "", value = "0" } = LINE.exec(line)?.groups ?? {};
    if (name === undefined) continue;
    const count = Number(value);
    if (name === "nv_inference_request_success") {
      isOurs = true;
      requests += count;
    } else if (name === "nv_inference_request_failure") {
      const isFault = SERVER_FAULTS.has(labelOf(labels, "reason"));
      if (isFault) {
        requests += count;
        errors += count;
      }
    } else if (buckets.size < MAX_BUCKETS) {
      const text = labelOf(labels, "le");
      const le = text === "+Inf" ? Number.POSITIVE_INFINITY : Number(text);
      if (!Number.isNaN(le)) buckets.set(le, (buckets.get(le) ?? 0) + count);
    }
  }
  return isOurs
    ? { requests, errors, buckets: [...buckets].toSorted(([a], [b]) => a - b) }
    : undefined;
}

function labelOf(labels: string, name: string): string | undefined {
  return new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1];
}
