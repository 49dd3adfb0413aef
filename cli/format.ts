import { parseTime } from "../crds/grammar/rfc3339.ts";

const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** At most two units, as kubectl formats ages: `45s`, `3m12s`, `5h`, `2d4h`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (seconds < 60) return `${seconds}s`;
  if (minutes < 10) return join(`${minutes}m`, seconds % 60, "s");
  if (minutes < 60) return `${minutes}m`;
  if (hours < 24) return join(`${hours}h`, minutes % 60, "m");
  return days < 10 ? join(`${days}d`, hours % 24, "h") : `${days}d`;
}

function join(first: string, rest: number, unit: string): string {
  return rest === 0 ? first : `${first}${rest}${unit}`;
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration as Kubernetes tools write it: `30s`, `1h30m`. Undefined if it is none. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d{1,5}(ms|[hms])){1,4}$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+)(ms|[hms])/g)];
  return parts.reduce((sum, [, count, unit = ""]) => sum + Number(count) * (unitMs[unit] ?? 0), 0);
}

export function formatCount(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** `sha256:9c1f0e5a77b2`. */
export function shortDigest(digest: string): string {
  return digest.replace(/^(sha256:[0-9a-f]{12})[0-9a-f]+$/, "$1");
}

/** How long ago a time was, or the text itself if it is none. */
export function ageOf(since: string, now: number): string {
  const time = parseTime(since);
  return time === undefined ? since : formatDuration(now - time);
}
