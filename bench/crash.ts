import { setTimeout as delay } from "node:timers/promises";

import { condition, isReleased, patchSpec, waitFor } from "../test/support/aiapp.ts";
import type { Platform } from "../test/support/platform.ts";
import { median, reported, type Figure } from "./figures.ts";
import { publish, startApp, versionAt } from "./release.ts";
import { NAMESPACE, withTenant } from "./tenant.ts";

/**
 * The undo of a release that passed its verification, serves requests, and then crashes: from the first crash of one of its
 * pods to the last request that reached one, on new connections. Requests to a pod that has crashed fail until Kubernetes
 * has taken it out of the Service.
 */

const APP = { namespace: NAMESPACE, name: "crash" } as const;
const ROUNDS = 5;
const REPLICAS = 3;
/** After its server was ready: by then the pod has had requests. */
const CRASH_AFTER_MS = 5000;
const GIVE_UP_MS = 120_000;
/** How long no request may reach the bad release, until it counts as gone. */
const QUIET_MS = 10_000;

function crashing(round: number): object {
  const script = `
    const crash = () => {
      require("node:fs").writeFileSync("/dev/termination-log", "crashed at " + Date.now());
      process.exit(3);
    };
    const look = async () => {
      const ready = await fetch("http://127.0.0.1:8080/v2/health/ready").catch(() => ({}));
      setTimeout(ready.ok ? crash : look, ready.ok ? ${CRASH_AFTER_MS} : 100);
    };
    if (process.env.ROLE !== "verification") look();
    import("/app/model-server/main.ts");`;
  return {
    env: [
      { name: "ROUND", value: String(round) },
      {
        name: "ROLE",
        valueFrom: { fieldRef: { fieldPath: "metadata.labels['aiapp.dev/role']" } },
      },
    ],
    podTemplate: {
      spec: { containers: [{ name: "server", command: ["node", "--eval", script] }] },
    },
  };
}

interface Seen {
  requests: number;
  failed: number;
  /** Responses of the bad release. */
  bad: number;
  /** When the last request reached a pod of the bad release: it responded, or the request failed. */
  lastBadAt: number;
}

/** Asks on new connections, one after the other, until `signal` aborts. */
async function watch(url: string, good: string, seen: Seen, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const version = await versionAt(url);
    seen.requests += 1;
    if (version?.release !== good) seen.lastBadAt = Date.now();
    if (version === undefined) seen.failed += 1;
    else if (version.release !== good) seen.bad += 1;
    await delay(10);
  }
}

/** Seconds from the crash to the last request at a pod of the release that crashed. */
async function measureRound(
  platform: Platform,
  url: string,
  good: string,
  round: number,
): Promise<{ readonly seconds: number; readonly seen: Seen }> {
  const seen: Seen = { requests: 0, failed: 0, bad: 0, lastBadAt: 0 };
  const stop = new AbortController();
  const watching = watch(url, good, seen, stop.signal);
  try {
    await patchSpec(platform, APP, crashing(round));
    const undone = await waitFor(
      platform,
      APP,
      "the undo",
      (app) =>
        condition(app, "Stalled")?.reason === "PodCrashing" &&
        app.status?.current?.id === good &&
        Date.now() - seen.lastBadAt > QUIET_MS,
      GIVE_UP_MS,
    );
    const message = condition(undone, "Stalled")?.message ?? "";
    const crashedAt = Number(/crashed at (\d+)/.exec(message)?.[1]);
    if (seen.bad === 0 || Number.isNaN(crashedAt))
      throw new Error(`${seen.bad} responses of the bad release; ${message}`);
    return { seconds: Math.max(0, (seen.lastBadAt - crashedAt) / 1000), seen };
  } finally {
    stop.abort();
    await watching;
  }
}

export function run(): Promise<readonly Figure[]> {
  return withTenant(async (platform) => {
    await platform.push(platform.images.server, `${platform.registry}/bench:1`);
    await publish(platform, APP.name, 1);
    const url = await startApp(platform, APP, { model: APP.name, replicas: REPLICAS });
    const good = (await versionAt(url))?.release ?? "";
    const rounds: { readonly seconds: number; readonly seen: Seen }[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      rounds.push(await measureRound(platform, url, good, round));
      await patchSpec(platform, APP, { env: null, podTemplate: null });
      await waitFor(platform, APP, "the spec as before", isReleased);
    }
    const seconds = rounds.map((one) => one.seconds);
    const sum = (of: (seen: Seen) => number): number =>
      rounds.reduce((total, { seen }) => total + of(seen), 0);
    return [
      reported("releases that crashed under traffic", ROUNDS, ""),
      reported("from the crash to the last request at its pods, median", median(seconds), "s"),
      reported("  at most", Math.max(...seconds), "s"),
      reported(
        "requests",
        sum(({ requests }) => requests),
        "",
      ),
      reported(
        "  answered by the bad releases",
        sum(({ bad }) => bad),
        "",
      ),
      reported(
        "  failed, at a pod that crashed",
        sum(({ failed }) => failed),
        "",
      ),
    ];
  });
}
