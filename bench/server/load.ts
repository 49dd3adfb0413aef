import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { execa } from "execa";

import { onPath } from "../../test/cluster/preflight.ts";

/** Load from a process of its own: wrk, on kept connections, each with one request at a time. */

export interface LoadRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface LoadResult {
  /** Requests that were answered with 2xx, a second. */
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Other answers, and what had none. */
  readonly failed: number;
}

/** Debian has it; the requests' latencies come from its own script language. */
export async function ensureWrk(): Promise<void> {
  if (await onPath("wrk")) return;
  const options = { env: { DEBIAN_FRONTEND: "noninteractive" } };
  await execa("apt-get", ["update", "-qq"], options);
  await execa("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "wrk"], options);
}

const SCRIPT = `
local file = io.open(os.getenv("BENCH_BODY"), "rb")
wrk.method = "POST"
wrk.body = file:read("*all")
file:close()
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\\nRESULT {"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"status":%d,"lost":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
`;

interface Result {
  readonly requests: number;
  readonly microseconds: number;
  readonly p50: number;
  readonly p99: number;
  readonly status: number;
  readonly lost: number;
}

export async function load(
  request: LoadRequest,
  { connections, seconds }: { readonly connections: number; readonly seconds: number },
): Promise<LoadResult> {
  const folder = await mkdtemp(join(tmpdir(), "aiapp-load-"));
  try {
    const [body, script] = [join(folder, "body"), join(folder, "wrk.lua")];
    await writeFile(body, request.body);
    await writeFile(script, SCRIPT);
    const headers = Object.entries(request.headers).flatMap(([name, value]) => [
      "--header",
      `${name}: ${value}`,
    ]);
    const { stdout } = await execa(
      "wrk",
      [
        "--threads=1",
        `--connections=${connections}`,
        `--duration=${seconds}s`,
        "--timeout=30s",
        `--script=${script}`,
        ...headers,
        request.url,
      ],
      { env: { BENCH_BODY: body } },
    );
    const found = /^RESULT (.*)$/m.exec(stdout)?.[1];
    if (found === undefined) throw new Error(`wrk printed no result: ${stdout}`);
    const { requests, microseconds, p50, p99, status, lost } = JSON.parse(found) as Result;
    return {
      rate: ((requests - status) / microseconds) * 1e6,
      p50Ms: p50 / 1000,
      p99Ms: p99 / 1000,
      failed: status + lost,
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}
