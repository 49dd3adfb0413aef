import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { eventually } from "../test/cluster/process.ts";
import { end, freePort } from "../test/support/process.ts";

/** The operator as a process of its own, beside a real API server, as the chart starts it. */
export interface OperatorProcess {
  readonly usage: () => Promise<Usage>;
  /** Samples of `/metrics` by name and labels, as they are written there. */
  readonly metrics: () => Promise<ReadonlyMap<string, number>>;
  /** The port of its inspector; 0 unless it was asked for. */
  readonly inspectorPort: number;
  /** Writes a heap snapshot and returns its path. */
  readonly snapshotHeap: () => Promise<string>;
  readonly close: () => Promise<void>;
}

export interface Usage {
  readonly residentBytes: number;
  readonly peakResidentBytes: number;
  readonly cpuSeconds: number;
}

/** Linux counts CPU time of processes in hundredths of a second (USER_HZ). */
const TICKS = 100;

/** What the chart gives the operator: 384Mi, of which this share is the JavaScript heap. */
export const MEMORY_LIMIT_MB = 384;
/** The young generation takes three of them: what short-lived garbage may add to the resident memory. */
const SEMI_SPACE_MB = 4;
const HEAP_SHARE = 0.55;

export async function startOperator(options: {
  readonly folder: string;
  readonly kubeconfig: string;
  readonly environment: Readonly<Record<string, string>>;
  /** With an inspector, by which it can be profiled. */
  readonly inspect?: boolean;
}): Promise<OperatorProcess> {
  const { folder, inspect = false } = options;
  const [healthPort, metricsPort] = [await freePort(), await freePort()];
  const inspectorPort = inspect ? await freePort() : 0;
  const child = spawn(
    process.execPath,
    [
      `--max-old-space-size=${Math.floor(MEMORY_LIMIT_MB * HEAP_SHARE)}`,
      `--max-semi-space-size=${SEMI_SPACE_MB}`,
      "--heapsnapshot-signal=SIGUSR2",
      `--diagnostic-dir=${folder}`,
      ...(inspect ? [`--inspect=127.0.0.1:${inspectorPort}`] : []),
      join(import.meta.dirname, "..", "operator", "main.ts"),
    ],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        KUBECONFIG: options.kubeconfig,
        OPERATOR_IMAGE: "example.azurecr.io/aiapp-operator:bench",
        LEADER_ELECTION: "false",
        LOG_LEVEL: "warn",
        HEALTH_PORT: String(healthPort),
        METRICS_PORT: String(metricsPort),
        ...options.environment,
      },
    },
  );
  const log = createWriteStream(join(folder, "operator.log"));
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  await eventually(`the operator (${folder}/operator.log)`, 60_000, async () => {
    requireAlive(child);
    return (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).ok;
  });
  return {
    usage: async () => {
      requireAlive(child);
      return usageOf(child.pid ?? 0);
    },
    metrics: async () => {
      const response = await fetch(`http://127.0.0.1:${metricsPort}/metrics`);
      return new Map(
        (await response.text()).split("\n").flatMap((line) => {
          const match = /^(\w+(?:\{.*\})?) (\S+)$/.exec(line);
          return match === null ? [] : [[match[1] ?? "", Number(match[2])] as const];
        }),
      );
    },
    inspectorPort,
    snapshotHeap: async () => {
      child.kill("SIGUSR2");
      let found: string | undefined;
      let size = -1;
      await eventually("a heap snapshot", 120_000, async () => {
        const name = (await readdir(folder)).find((one) => one.endsWith(".heapsnapshot"));
        if (name === undefined) return false;
        found = join(folder, name);
        const before = size;
        size = (await readFile(found)).length;
        return size > 0 && size === before;
      });
      return found ?? "";
    },
    close: async () => {
      process.off("exit", kill);
      await end(child, "SIGTERM", 30_000);
      log.end();
    },
  };
}

function requireAlive({ exitCode, signalCode }: ChildProcess): void {
  if (exitCode !== null || signalCode !== null)
    throw new Error(`the operator ended (${exitCode ?? signalCode})`);
}

async function usageOf(pid: number): Promise<Usage> {
  const [status, stat] = await Promise.all([
    readFile(`/proc/${pid}/status`, "utf8"),
    readFile(`/proc/${pid}/stat`, "utf8"),
  ]);
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? Number.NaN);
  // After the command's name, which may hold spaces: utime and stime are the 12th and 13th fields.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    residentBytes: kilobytes("VmRSS") * 1024,
    peakResidentBytes: kilobytes("VmHWM") * 1024,
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS,
  };
}
