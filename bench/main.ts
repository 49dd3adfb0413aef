import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";

import { ensurePackages } from "../test/cluster/packages.ts";
import { explain, preflight } from "../test/cluster/preflight.ts";
import { untilInterrupted } from "../test/cluster/process.ts";
import { runInside, withLocal } from "../test/support/outside.ts";
import { GIVEN } from "../test/support/platform.ts";
import * as apps from "./apps.ts";
import * as crash from "./crash.ts";
import { table, type Figure } from "./figures.ts";
import * as plan from "./plan.ts";
import * as polling from "./polling.ts";
import * as release from "./release.ts";
import * as memory from "./server/memory.ts";
import * as overload from "./server/overload.ts";
import * as peers from "./server/peers.ts";
import * as server from "./server/run.ts";
import * as workers from "./server/workers.ts";
import * as undo from "./undo.ts";

/** `npm run bench -- NAME … [OPTIONS]`: measures, prints a table, and exits 1 when a goal is missed. */
interface Bench {
  /** A whole cluster, the binaries and packages that one is made of, or nothing. */
  readonly needs: "cluster" | "programs" | "nothing";
  readonly run: (options: Options) => Promise<readonly Figure[]>;
}

interface Options extends apps.AppsOptions, server.ServerBenchOptions, undo.UndoOptions {
  readonly json: string | undefined;
  readonly cnn: boolean;
}

const benches: ReadonlyMap<string, Bench> = new Map([
  ["apps", { needs: "programs", run: apps.run }],
  ["plan", { needs: "nothing", run: plan.run }],
  ["polling", { needs: "cluster", run: polling.run }],
  ["release", { needs: "cluster", run: release.run }],
  ["crash", { needs: "cluster", run: crash.run }],
  ["undo", { needs: "cluster", run: undo.run }],
  ["server-memory", { needs: "nothing", run: memory.run }],
  ["server-overload", { needs: "nothing", run: overload.run }],
  ["server-workers", { needs: "nothing", run: workers.run }],
  ["server-peers", { needs: "nothing", run: peers.run }],
  ["server", { needs: "nothing", run: server.run }],
]);

const DEFAULT_APPS = 1000;
const DEFAULT_UNDOS = 200;
const usage = `usage: npm run bench -- ${[...benches.keys()].join(" | ")} [OPTIONS]
  --json FILE  also write the figures as JSON
  --apps N     AIApps in the benchmark apps (${DEFAULT_APPS})
  --heap       print what the operator's heap holds after the benchmark apps
  --profile    print where the operator's CPU time goes, in the benchmark apps
  --undos N    how often the benchmark undo goes back (${DEFAULT_UNDOS})
  --cnn        the CNN in the place of the MLP, in the benchmark server-peers
  --only PART  the only part of the benchmark server: ${server.PARTS.join(", ")}`;

/** Whether a cluster, and so the programs that one is made of, can run here; explains what is missing. */
async function canRun(): Promise<boolean> {
  const lacks = await preflight();
  if (lacks.length > 0) console.error(explain(lacks));
  return lacks.length === 0;
}

/** Runs this program beside a cluster, in its network. */
function runBesideCluster(): Promise<number> {
  return withLocal({ signal: untilInterrupted() }, (prepared) =>
    runInside(prepared, [process.execPath, import.meta.filename, ...process.argv.slice(2)]),
  );
}

function readArguments(): { readonly names: readonly string[]; readonly options: Options } {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "string" },
      apps: { type: "string", default: String(DEFAULT_APPS) },
      heap: { type: "boolean", default: false },
      profile: { type: "boolean", default: false },
      undos: { type: "string", default: String(DEFAULT_UNDOS) },
      cnn: { type: "boolean", default: false },
      only: { type: "string" },
    },
  });
  const unknown = positionals.filter((name) => !benches.has(name));
  if (unknown.length > 0) throw new TypeError(`no benchmark is named ${unknown.join(", ")}`);
  if (positionals.length === 0) throw new TypeError("no benchmark is named");
  const { json, heap, profile, only, cnn } = values;
  if (only !== undefined && !server.PARTS.includes(only))
    throw new TypeError(`--only ${only} is none of ${server.PARTS.join(", ")}`);
  const apps = positive("apps", values.apps);
  const undos = positive("undos", values.undos);
  return { names: positionals, options: { json, apps, heap, profile, undos, only, cnn } };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new TypeError(`--${name} ${text} is not a positive whole number`);
  return value;
}

async function main(): Promise<number> {
  let read: ReturnType<typeof readArguments>;
  try {
    read = readArguments();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    console.error(`${error.message}; ${usage}`);
    return 2;
  }
  const { names, options } = read;
  const chosen = names.flatMap((name) => benches.get(name) ?? []);
  if (process.env[GIVEN] === undefined) {
    const needs = new Set(chosen.map((bench) => bench.needs));
    if ((needs.has("cluster") || needs.has("programs")) && !(await canRun())) return 1;
    if (needs.has("cluster")) return runBesideCluster();
    if (needs.has("programs")) await ensurePackages(untilInterrupted());
  }
  const figures: Figure[] = [];
  for (const bench of chosen) {
    const found = await bench.run(options);
    console.log(table(found));
    figures.push(...found);
  }
  if (options.json !== undefined)
    await writeFile(options.json, `${JSON.stringify(figures, null, 2)}\n`);
  return figures.every((figure) => figure.ok) ? 0 : 1;
}

process.exitCode = await main();
