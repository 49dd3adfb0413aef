import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import * as fc from "fast-check";

import { startOurs } from "../../bench/server/ours.ts";
import type { ServerProcess } from "../../bench/server/process.ts";
import { picturesOf, sendFuzz } from "../../model-server/fuzz-client.testing.ts";
import {
  faultOf,
  requestsTo,
  targets,
  type FuzzRequest,
  type FuzzTarget,
} from "../../model-server/fuzz.testing.ts";

/**
 * `npm run fuzz -- server --count N --seed S`: malformed requests to a model server in a process of its own. Exits 1 when
 * an answer is no 4xx that says why, names a path, or does not come, and when the server's memory grows. The same seed sends
 * the same requests.
 */

const CHUNK = 500;
const IN_FLIGHT = 16;
/** The server's caches and its heap have their size by then. */
const WARM_SHARE = 0.2;
/** Beyond the memory at that time. */
const MAX_GROWTH_MB = 100;
const MAX_FAULTS = 5;

interface Outcome {
  readonly statuses: ReadonlyMap<number, number>;
  readonly faults: readonly string[];
  readonly growthMb: number;
}

function describe({ method, path, headers, body }: FuzzRequest): string {
  return JSON.stringify({ method, path, headers, base64: body.toString("base64").slice(0, 4000) });
}

async function attack(
  server: ServerProcess,
  target: FuzzTarget,
  { count, seed }: { readonly count: number; readonly seed: number },
): Promise<Outcome> {
  const port = Number(new URL(server.url).port);
  const arbitrary = requestsTo(target, await picturesOf());
  const statuses = new Map<number, number>();
  const faults: string[] = [];
  let warmMb = 0;
  const send = async (request: FuzzRequest): Promise<void> => {
    const answer = await sendFuzz(port, request).catch((error: unknown) => String(error));
    const fault =
      typeof answer === "string" ? answer : faultOf(answer, request.path + request.body.toString());
    if (fault !== undefined) faults.push(`${fault}: ${describe(request)}`);
    if (typeof answer !== "string")
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
  };
  for (let sent = 0; sent < count && faults.length < MAX_FAULTS; sent += CHUNK) {
    const requests = fc.sample(arbitrary, {
      seed: seed + sent,
      numRuns: Math.min(CHUNK, count - sent),
    });
    const work = async (): Promise<void> => {
      for (let next = requests.pop(); next !== undefined; next = requests.pop()) await send(next);
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, work));
    if (sent < count * WARM_SHARE) warmMb = (await server.memory()).residentMb;
  }
  return { statuses, faults, growthMb: (await server.memory()).residentMb - warmMb };
}

async function fuzz(
  target: FuzzTarget,
  options: { count: number; seed: number },
): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "aiapp-fuzz-"));
  try {
    for (const [name, content] of Object.entries(targets[target])) {
      await mkdir(folder, { recursive: true });
      const bytes = Buffer.isBuffer(content) ? content : JSON.stringify(content);
      await writeFile(join(folder, name), bytes);
    }
    const server = await startOurs({ folder });
    try {
      const { statuses, faults, growthMb } = await attack(server, target, options);
      for (const fault of faults) console.error(fault);
      const counts = [...statuses].toSorted(([a], [b]) => a - b);
      const summary = counts.map(([status, count]) => `${count} × ${status}`).join(", ");
      console.log(
        `${target}: seed ${options.seed}, ${summary}; ${faults.length} faults; memory grew by ${growthMb.toFixed(0)} MB`,
      );
      return faults.length === 0 && growthMb <= MAX_GROWTH_MB;
    } finally {
      await server.close();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: "string", default: "20000" },
    seed: { type: "string", default: "1" },
  },
});
const [count, seed] = [Number(values.count), Number(values.seed)];
if (positionals.join(" ") !== "server" || !(count >= 1) || !Number.isInteger(seed)) {
  console.error("usage: npm run fuzz -- server [--count N] [--seed S]");
  process.exit(2);
}
let ok = true;
for (const target of Object.keys(targets) as FuzzTarget[])
  ok = (await fuzz(target, { count: Math.ceil(count / 2), seed })) && ok;
process.exitCode = ok ? 0 : 1;
