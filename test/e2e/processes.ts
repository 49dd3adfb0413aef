import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

import type { Platform } from "../support/platform.ts";
import { leaderOf } from "../support/trial.ts";

/** Processes of the local cluster: tests share its process namespace, and may kill them. */

/** Kills the operator's leader by SIGKILL; the other replica takes over. @returns its pod; undefined when none leads */
export async function killLeader(platform: Platform): Promise<string | undefined> {
  const holder = await leaderOf(platform.kubectl);
  const killed = kill(
    matching("^node operator/main.ts").filter((pid) =>
      environmentOf(pid).includes(`POD_NAME=${holder}`),
    ),
  );
  return killed > 0 ? holder : undefined;
}

/** Kills the processes with a matching command line by SIGKILL. @returns how many */
export function killAll(commandLine: string): number {
  return kill(matching(commandLine));
}

function kill(pids: readonly number[]): number {
  for (const pid of pids) process.kill(pid, "SIGKILL");
  return pids.length;
}

function matching(commandLine: string): readonly number[] {
  const { stdout } = spawnSync("pgrep", ["--full", commandLine], { encoding: "utf8" });
  return stdout.split("\n").filter(Boolean).map(Number);
}

/** Empty for a process that has ended meanwhile. */
function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}
