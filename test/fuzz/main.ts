import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { startOurs } from "../../bench/server/ours.ts";
import type { ServerProcess } from "../../bench/server/process.ts";
import { targets } from "../../model-server/fuzz-targets.testing.ts";
import { freePort } from "../support/process.ts";
import { leakIn, WINDOWS, type Measured } from "./memory.ts";
import { attacks, type Attack, type Sender } from "./attacks.ts";

/**
 * `npm run fuzz -- server [images|tensors|integers|grpc] --count N --seed S`: malformed requests to a model server in a process of
 * its own. Exits 1 when an answer is no refusal that says why, names a path, or does not come, and when the server's memory
 * goes on growing. The same seed sends the same requests.
 */

const CHUNK = 500;
const IN_FLIGHT = 16;
const MAX_FAULTS = 5;
/** Young generations that stay small: garbage of six heaps would grow by hundreds of megabytes before it is collected. */
const HEAP = { NODE_OPTIONS: "--max-semi-space-size=1" } as const;

interface Amount {
  readonly count: number;
  readonly seed: number;
}

interface Result {
  readonly statuses: ReadonlyMap<string, number>;
  readonly faults: readonly string[];
  /** At the end of each window. */
  readonly memory: readonly Measured[];
}

async function send(
  server: ServerProcess,
  sender: Sender,
  { count, seed }: Amount,
): Promise<Result> {
  const statuses = new Map<string, number>();
  const faults: string[] = [];
  const memory: Measured[] = [];
  for (let sent = 0; sent < count && faults.length < MAX_FAULTS; sent += CHUNK) {
    const requests = [...sender.sample(Math.min(CHUNK, count - sent), seed + sent)];
    const work = async (): Promise<void> => {
      for (let next = requests.pop(); next !== undefined; next = requests.pop()) {
        const { status, fault } = await next();
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (fault !== undefined) faults.push(fault);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, work));
    const done = Math.min(count, sent + CHUNK);
    if (done >= ((memory.length + 1) * count) / WINDOWS)
      memory.push({ requests: done, residentMb: (await server.memory()).residentMb });
  }
  return { statuses, faults, memory };
}

async function fuzz(name: string, { target, open }: Attack, amount: Amount): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "aiapp-fuzz-"));
  try {
    for (const [file, content] of Object.entries(targets[target])) {
      const bytes = Buffer.isBuffer(content) ? content : JSON.stringify(content);
      await writeFile(join(folder, file), bytes);
    }
    const grpc = await freePort();
    const server = await startOurs({ folder }, { GRPC_PORT: String(grpc), ...HEAP });
    const sender = await open({ http: Number(new URL(server.url).port), grpc });
    try {
      const { statuses, faults, memory } = await send(server, sender, amount);
      for (const fault of faults) console.error(fault);
      const counts = [...statuses].toSorted(([a], [b]) => (a < b ? -1 : 1));
      const summary = counts.map(([status, count]) => `${count} × ${status}`).join(", ");
      console.log(
        `${name}: seed ${amount.seed}, ${summary}; ${faults.length} faults; memory ${memory.map(({ residentMb }) => residentMb.toFixed(0)).join(", ")} MB`,
      );
      const leak = faults.length === 0 ? leakIn(memory) : undefined;
      if (leak !== undefined) console.error(`${name}: ${leak}`);
      return faults.length === 0 && leak === undefined;
    } finally {
      await sender.close();
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
const [what, ...names] = positionals;
const chosen = names.length === 0 ? Object.keys(attacks) : names;
const isKnown = what === "server" && chosen.every((name) => Object.hasOwn(attacks, name));
if (!isKnown || !(count >= 1) || !Number.isInteger(seed)) {
  console.error(
    "usage: npm run fuzz -- server [images|tensors|integers|grpc] [--count N] [--seed S]",
  );
  process.exit(2);
}
let ok = true;
for (const name of chosen) {
  const attack = attacks[name];
  const amount = { count: Math.ceil(count / chosen.length), seed };
  ok = attack !== undefined && (await fuzz(name, attack, amount)) && ok;
}
process.exitCode = ok ? 0 : 1;
