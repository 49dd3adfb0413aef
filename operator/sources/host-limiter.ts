import PQueue from "p-queue";

import type { Clock } from "../clock.ts";

/** Limits how much is read from each host at once, and pauses a host that asks for it. */
export interface HostLimiter {
  /** Runs the task when fewer than four others of the host run. */
  readonly run: (host: string, task: () => Promise<void>) => Promise<void>;
  /** Pauses a host for so many milliseconds from now; never shortens a pause. */
  readonly throttle: (host: string, ms: number) => void;
  /** Milliseconds until the host may be contacted again. */
  readonly pauseOf: (host: string) => number;
  /** How many hosts are remembered. */
  readonly size: () => number;
  /** Resolves when no task waits or runs. */
  readonly onIdle: () => Promise<void>;
}

interface Host {
  readonly queue: PQueue;
  throttledUntil: number;
}

const TASKS_PER_HOST = 4;
/** AIApps name hosts freely: beyond this many, those that are idle are forgotten. */
const MAX_HOSTS = 1000;

export function createHostLimiter(clock: Clock): HostLimiter {
  const hosts = new Map<string, Host>();

  function hostOf(name: string): Host {
    const known = hosts.get(name);
    if (known !== undefined) return known;
    if (hosts.size >= MAX_HOSTS) forgetIdle();
    const host = { queue: new PQueue({ concurrency: TASKS_PER_HOST }), throttledUntil: 0 };
    hosts.set(name, host);
    return host;
  }

  function forgetIdle(): void {
    for (const [name, { queue, throttledUntil }] of hosts) {
      const isIdle = queue.size === 0 && queue.pending === 0 && throttledUntil <= clock.now();
      if (isIdle) hosts.delete(name);
    }
  }

  return {
    run: (name, task) => hostOf(name).queue.add(task),
    throttle: (name, ms) => {
      const host = hostOf(name);
      host.throttledUntil = Math.max(host.throttledUntil, clock.now() + ms);
    },
    pauseOf: (name) => Math.max(0, (hosts.get(name)?.throttledUntil ?? 0) - clock.now()),
    size: () => hosts.size,
    onIdle: async () => {
      await Promise.all([...hosts.values()].map(({ queue }) => queue.onIdle()));
    },
  };
}
