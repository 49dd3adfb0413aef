import { setTimeout as delay } from "node:timers/promises";

import { killLeader } from "../e2e/processes.ts";
import type { Platform } from "../support/platform.ts";
import { SYSTEM } from "../support/trial.ts";

/** A kill comes within so long after the one before: most steps are over by then. */
const WITHIN_MS = 6000;

/** Kills the leader at random moments until `signal` aborts. @returns how often */
export async function killAtRandom(
  platform: Platform,
  times: number,
  random: () => number,
  signal: AbortSignal,
): Promise<number> {
  let done = 0;
  while (done < times) {
    await delay(random() * WITHIN_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
    const pod = await killLeader(platform);
    // Between two leaders there is none to kill.
    if (pod === undefined) continue;
    done += 1;
    // The kubelet would start a container that is killed this often later each time, in the end after minutes.
    // prettier-ignore
    await platform.kubectl(["delete", "pod", pod, "--namespace", SYSTEM, "--ignore-not-found", "--wait=false"]);
  }
  return done;
}
