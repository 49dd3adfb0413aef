import { spawn, type StdioOptions } from "node:child_process";
import { openSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import { z } from "zod";

/** A process that we started. The start time distinguishes it from a later one with the same pid. */
const Recorded = z.object({ pid: z.number().int(), startTime: z.string() });
export type Recorded = z.infer<typeof Recorded>;

/** Fields of /proc/PID/stat after the command's name, which may hold spaces (proc(5)). */
async function stat(pid: number): Promise<{ state: string; startTime: string } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", startTime: fields[19] ?? "" };
}

/** A zombie counts as ended: it may have no parent that reaps it. */
export async function isAlive({ pid, startTime }: Recorded): Promise<boolean> {
  const now = await stat(pid);
  return now !== undefined && now.startTime === startTime && now.state !== "Z";
}

export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return text.split(" ").filter(Boolean).map(Number);
}

export interface Spawned extends Recorded {
  readonly name: string;
}

/** Starts a process that outlives us, its output in `<logs>/<name>.log`. */
export async function spawnDetached(
  { logs, processes }: { logs: string; processes: string },
  name: string,
  [command, ...args]: readonly [string, ...string[]],
  environment: Readonly<Record<string, string>> = {},
): Promise<Spawned> {
  await mkdir(logs, { recursive: true });
  await mkdir(processes, { recursive: true });
  const log = openSync(join(logs, `${name}.log`), "a");
  const stdio: StdioOptions = ["ignore", log, log];
  const child = spawn(command, args, {
    detached: true,
    stdio,
    env: { ...process.env, ...environment },
  });
  const pid = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("spawn", () => resolve(child.pid ?? -1));
  });
  child.unref();
  const startTime = (await stat(pid))?.startTime ?? "";
  await writeFile(join(processes, `${name}.json`), JSON.stringify({ pid, startTime }));
  return { name, pid, startTime };
}

/** Runs a program on this terminal until it exits. @returns its exit code; 128 plus the signal's number for a killed one */
export async function exitCodeOf(
  file: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<number> {
  const child = spawn(file, args, { stdio: "inherit", env: { ...process.env, ...environment } });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}

export async function recorded(processes: string): Promise<Spawned[]> {
  const files = await readdir(processes).catch(() => []);
  const found = await Promise.all(
    files.map(async (file) => {
      const read = Recorded.safeParse(
        JSON.parse(await readFile(join(processes, file), "utf8").catch(() => "null")),
      );
      return read.success ? [{ name: file.replace(/\.json$/, ""), ...read.data }] : [];
    }),
  );
  return found.flat();
}

/** Signals a process that we started, waits until it has ended, and kills it after `graceMs`. */
export async function terminate(
  one: Recorded,
  { signal = "SIGTERM", graceMs = 10_000 }: { signal?: NodeJS.Signals; graceMs?: number } = {},
): Promise<void> {
  if (!(await isAlive(one))) return;
  // nsenter waits in the outer pid namespace for the actual process: signal that one.
  const [inner] = await childrenOf(one.pid);
  const target = inner ?? one.pid;
  signalQuietly(target, signal);
  if (await ended(one, graceMs)) return;
  signalQuietly(target, "SIGKILL");
  signalQuietly(one.pid, "SIGKILL");
  await ended(one, 5000);
}

function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has exited in the meantime.
  }
}

async function ended(one: Recorded, withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs;
  while (await isAlive(one)) {
    if (Date.now() > deadline) return false;
    await delay(20);
  }
  return true;
}

export async function forget(processes: string, name: string): Promise<void> {
  await rm(join(processes, `${name}.json`), { force: true });
}

/** Aborted by the first Ctrl-C or SIGTERM, so that the work in flight ends and the cluster is removed. */
export function untilInterrupted(): AbortSignal {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort(new Error("interrupted")));
  process.once("SIGTERM", () => stop.abort(new Error("terminated")));
  return stop.signal;
}

/** Polls until `check` returns a value. @throws after `withinMs`, naming `what` it waited for */
export async function eventually<T>(
  what: string,
  withinMs: number,
  check: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`waited ${withinMs / 1000} s for ${what} without success`, { cause: last });
    }
    await delay(100);
  }
}
