import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** The cores that the container may use: Node.js sees the machine's, not the container's quota (cgroup v2 and v1). */
export function cores(): number {
  const [quota = "", period = ""] = readOrNothing("/sys/fs/cgroup/cpu.max").trim().split(" ");
  const older = [
    readOrNothing("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
    readOrNothing("/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
  ].map(Number);
  const limit = quota === "" ? (older[0] ?? 0) / (older[1] ?? 1) : Number(quota) / Number(period);
  const machine = availableParallelism();
  return limit > 0 ? Math.max(1, Math.min(machine, Math.ceil(limit))) : machine;
}
