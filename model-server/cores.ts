import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** What a container's cgroup says of its CPU limit; "" where there is no such file. */
export interface CpuFiles {
  /** Of cgroup v2, `cpu.max`: microseconds of a period or `max`, and the period. */
  readonly max: string;
  /** Of cgroup v1, `cpu.cfs_quota_us`: microseconds of a period, -1 without a limit. */
  readonly quota: string;
  /** Of cgroup v1, `cpu.cfs_period_us`. */
  readonly period: string;
}

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/**
 * The whole cores that the container may use, at least 1. Node.js applies the limit of cgroup v2 by itself and rounds it
 * down as well (libuv 1.52), but not that of cgroup v1.
 */
export function cores(): number {
  return coresOf(availableParallelism(), {
    max: readOrNothing("/sys/fs/cgroup/cpu.max"),
    quota: readOrNothing("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
    period: readOrNothing("/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
  });
}

/** @param machine the cores that Node.js sees */
export function coresOf(machine: number, { max, quota, period }: CpuFiles): number {
  const [most = "", ofPeriod = ""] = max.trim() === "" ? [quota, period] : max.trim().split(" ");
  const limit = Number(most) / Number(ofPeriod);
  const isLimited = limit > 0 && Number.isFinite(limit);
  return isLimited ? Math.max(1, Math.min(machine, Math.floor(limit))) : machine;
}
