import { spawn, type ChildProcess } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";

import { end } from "../../test/support/process.ts";

/** A server under test, as a process of its own. */
export interface ServerProcess {
  readonly url: string;
  /** From the start of the process until it said that it is ready. */
  readonly readyMs: number;
  /** Of it and its children; `peak` since their starts. */
  readonly memory: () => Promise<{ readonly residentMb: number; readonly peakMb: number }>;
  readonly close: () => Promise<void>;
}

export interface ServerOptions {
  readonly command: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  readonly folder?: string;
  readonly url: string;
  /** Answers 2xx once the server is ready; undefined where that request must be a POST. */
  readonly isReady: (url: string) => Promise<boolean>;
  readonly timeoutMs?: number;
}

const POLL_MS = 5;
const LOG_BYTES = 4000;

export async function startProcess(options: ServerOptions): Promise<ServerProcess> {
  const [program, ...rest] = options.command;
  const began = performance.now();
  const child = spawn(program, rest, {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: options.folder,
    env: { ...process.env, ...options.environment },
    // A group of its own: servers of several processes end together.
    detached: true,
  });
  let log = "";
  const keep = (chunk: Buffer): void => {
    log = (log + chunk.toString()).slice(-LOG_BYTES);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const failed = new Promise<never>((_, reject) => child.once("error", reject));
  failed.catch(() => {});
  const kill = (): void => signalGroup(child, "SIGKILL");
  process.once("exit", kill);
  const close = async (): Promise<void> => {
    process.off("exit", kill);
    await end(child, "SIGINT", 5000);
    kill();
  };
  try {
    const until = began + (options.timeoutMs ?? 60_000);
    while (!(await Promise.race([failed, options.isReady(options.url).catch(() => false)]))) {
      if (child.exitCode !== null || performance.now() > until)
        throw new Error(`${options.command.join(" ").slice(0, 200)} does not get ready: ${log}`);
      await setTimeout(POLL_MS);
    }
  } catch (error) {
    await close();
    throw error;
  }
  const readyMs = performance.now() - began;
  return { url: options.url, readyMs, memory: () => memoryOf(child.pid ?? 0), close };
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
}

async function memoryOf(
  pid: number,
): Promise<{ readonly residentMb: number; readonly peakMb: number }> {
  let [residentMb, peakMb] = [0, 0];
  for (const one of await familyOf(pid)) {
    const status = await readFile(`/proc/${one}/status`, "utf8").catch(() => "");
    const megabytes = (name: string): number =>
      (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1024) / 1e6;
    residentMb += megabytes("VmRSS");
    peakMb += megabytes("VmHWM");
  }
  return { residentMb, peakMb };
}

/** The process and all that descend from it. */
async function familyOf(root: number): Promise<readonly number[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    // After the command's name, which may hold spaces: the state, then the parent.
    parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
  }
  const family = [root];
  for (let at = 0; at < family.length; at += 1)
    for (const [pid, parent] of parents) if (parent === family[at]) family.push(pid);
  return family;
}

export async function answersOk(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
  await response.arrayBuffer();
  return response.ok;
}
