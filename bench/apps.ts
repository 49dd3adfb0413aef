import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import { aiappKind } from "../operator/aiapp/status-writer.ts";
import { systemClock } from "../operator/clock.ts";
import type { Kube } from "../operator/kube/client.ts";
import type { KubernetesObject, V1Deployment } from "../operator/kube/types.ts";
import { createLogger } from "../operator/log.ts";
import { startInformer } from "../operator/runtime/informer.ts";
import {
  NAMESPACE,
  rollOutDeployments,
  runPod,
  startAppsWorld,
  type AppsWorld,
} from "./apps-world.ts";
import { inParallel, measureBareWrites, WORKERS } from "./bare-writes.ts";
import { atLeast, atMost, reported, type Figure } from "./figures.ts";
import { summarizeHeap } from "./heap.ts";
import { profiled, type Spent } from "./profile.ts";
import { startOperator, type OperatorProcess } from "./operator-process.ts";

/**
 * A thousand AIApps on one operator process: memory, writes and CPU at rest, and how fast they are released, against
 * what a bare client with as many workers writes to the same API server.
 */
export interface AppsOptions {
  readonly apps: number;
  /** Also print the biggest groups of the operator's heap at rest. */
  readonly heap: boolean;
  /** Also print the functions of the operator that took most CPU, until all is released and at rest; that slows it down. */
  readonly profile: boolean;
}

const MINUTE_MS = 60_000;
/** So long that what recurs is in it: the sources of recorded releases are polled every five minutes. */
const REST_MINUTES = 5;
/** Copies of what was released are begun within a minute, and then reported. */
const COPIES_MS = 65_000;
const SETTLE_MS = 5000;
const PROFILE_ROWS = 50;
const RECONCILES = "controller_runtime_reconcile_total";
const POLLS = "aiapp_polls_total";
const WRITES = ["POST", "PUT", "PATCH", "DELETE"];

export async function run(options: AppsOptions): Promise<readonly Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), "aiapp-bench-"));
  const stop = new AbortController();
  const world = await startAppsWorld(folder);
  try {
    const deployments = await rollOutDeployments(world.kube, stop.signal);
    const operator = await startOperator({
      folder,
      kubeconfig: world.server.kubeconfig,
      environment: {
        ...world.environment,
        WORKERS: String(WORKERS),
        APPS_PER_NAMESPACE: "0",
      },
      inspect: options.profile,
    });
    try {
      return await measure({ world, operator, deployments }, options, stop.signal);
    } finally {
      await operator.close();
    }
  } finally {
    stop.abort();
    await world.close();
    await rm(folder, { recursive: true, force: true });
  }
}

interface Measured {
  readonly world: AppsWorld;
  readonly operator: OperatorProcess;
  readonly deployments: () => readonly V1Deployment[];
}

async function measure(
  { world, operator, deployments }: Measured,
  { apps, heap, profile }: AppsOptions,
  signal: AbortSignal,
): Promise<readonly Figure[]> {
  await delay(SETTLE_MS);
  const empty = await operator.usage();

  // One app more, released before the others, is the template of what the bare client writes.
  const releases = await watchReleases(world.kube, signal);
  await world.createApp(apps);
  await releases.until(1, performance.now() + MINUTE_MS);
  await delay(COPIES_MS);
  const template = `app-${apps}`;
  const rateBefore = await measureBareWrites(world.kube, { template, prefix: "before" }, signal);
  const writesBefore = await writesOf(operator);
  const reconcilesBefore = sumOf(await operator.metrics(), RECONCILES);

  const observed = (what: string, work: () => Promise<void>): Promise<void> =>
    profile ? printProfile(operator, what, work) : work();
  const usedBefore = await operator.usage();
  const began = performance.now();
  let createdSeconds = Number.NaN;
  await observed("until the last release", async () => {
    await inParallel(WORKERS, apps, world.createApp);
    createdSeconds = (performance.now() - began) / 1000;
    await releases.until(apps + 1, began + 120_000 + apps * 500);
  });
  const seconds = releases.times
    .filter((at) => at > began)
    .map((at) => (at - began) / 1000)
    .toSorted((a, b) => a - b);
  const releasedSeconds = seconds.at(-1) ?? Number.NaN;
  const { cpuSeconds } = await operator.usage();
  const written = await writesOf(operator);
  const events = written.events - writesBefore.events;
  const writes = written.all - writesBefore.all;
  const reconciles = sumOf(await operator.metrics(), RECONCILES) - reconcilesBefore;
  await delay(COPIES_MS);
  const writtenInAll = await writesOf(operator);
  const objectsWritten =
    writtenInAll.all - writesBefore.all - (writtenInAll.events - writesBefore.events);
  // The machine is shared and its speed varies: the mean of before and after.
  const rateAfter = await measureBareWrites(world.kube, { template, prefix: "after" }, signal);
  const rawRate = (rateBefore + rateAfter) / 2;
  const peak = await operator.usage();

  // Each app has a pod now, too: the operator watches pods.
  const running = deployments();
  await inParallel(WORKERS, running.length, async (index) => {
    const deployment = running[index];
    if (deployment !== undefined) await runPod(world.kube, deployment, signal);
  });
  await untilQuiet(operator);
  const reconcilesAtRest = sumOf(await operator.metrics(), RECONCILES);
  const atRest = await operator.usage();
  const writesAtRest = await writesOf(operator);
  const pollsAtRest = sumOf(await operator.metrics(), POLLS);
  await observed("at rest", () => delay(REST_MINUTES * MINUTE_MS));
  const later = await operator.usage();
  const writesLater = await writesOf(operator);

  const memory = await operator.metrics();
  if (heap) await printHeap(operator);
  const megabytes = (bytes: number): number => bytes / 1e6;
  return [
    reported("AIApps", apps, ""),
    reported("all of them created after", createdSeconds, "s"),
    reported("first released after", seconds[0] ?? Number.NaN, "s"),
    reported("median released after", seconds[seconds.length >> 1] ?? Number.NaN, "s"),
    reported("last released after", releasedSeconds, "s"),
    reported("writes of a bare client, four workers", rawRate, "a second"),
    atLeast(
      "time of a bare client for as many writes, against the last release",
      writes / rawRate / releasedSeconds,
      "",
      0.6,
    ),
    reported("reconciles an app until released", reconciles / apps, ""),
    reported(
      "CPU of the operator an app until released",
      ((cpuSeconds - usedBefore.cpuSeconds) / apps) * 1000,
      "ms",
    ),
    reported("writes of objects and status an app until released", (writes - events) / apps, ""),
    atMost("  and until its copies are reported", objectsWritten / apps, "", 7),
    reported("Events an app until released", events / apps, ""),
    reported(
      "memory of the operator without AIApps (resident)",
      megabytes(empty.residentBytes),
      "MB",
    ),
    reported("memory at its peak", megabytes(peak.peakResidentBytes), "MB"),
    atMost(
      "memory at rest, over that without AIApps",
      megabytes(later.residentBytes - empty.residentBytes),
      "MB",
      128,
    ),
    reported(
      "  JavaScript heap in use",
      megabytes(sumOf(memory, "nodejs_heap_size_used_bytes")),
      "MB",
    ),
    reported(
      "  JavaScript heap reserved",
      megabytes(sumOf(memory, "nodejs_heap_size_total_bytes")),
      "MB",
    ),
    reported(
      "  buffers outside the heap",
      megabytes(sumOf(memory, "nodejs_external_memory_bytes")),
      "MB",
    ),
    reported("polls at rest", (sumOf(memory, POLLS) - pollsAtRest) / REST_MINUTES, "a minute"),
    reported(
      "reconciles at rest",
      (sumOf(memory, RECONCILES) - reconcilesAtRest) / REST_MINUTES,
      "a minute",
    ),
    atMost("writes at rest, in five minutes", writesLater.all - writesAtRest.all, "", 0),
    atMost(
      "CPU at rest",
      ((later.cpuSeconds - atRest.cpuSeconds) / (REST_MINUTES * 60)) * 100,
      "% of a core",
      2,
    ),
  ];
}

interface Releases {
  readonly times: readonly number[];
  readonly until: (count: number, deadline: number) => Promise<void>;
}

interface App extends KubernetesObject {
  readonly status?: { readonly current?: { readonly id: string } };
}

/** When each AIApp was first seen released. */
async function watchReleases(kube: Kube, signal: AbortSignal): Promise<Releases> {
  const released = new Map<string, number>();
  const informer = startInformer<App>(
    {
      kube,
      kind: aiappKind,
      namespace: NAMESPACE,
      clock: systemClock,
      log: createLogger("warn"),
      // The bench process shares the machine with what it measures: no more than what is read is kept.
      transform: ({ metadata, status }) => {
        const { namespace = "", name = "", resourceVersion = "" } = metadata ?? {};
        const current = status?.current;
        return {
          metadata: { namespace, name, resourceVersion },
          status: current === undefined ? {} : { current: { id: current.id } },
        };
      },
      onChange: ({ metadata, status }) => {
        const name = metadata?.name ?? "";
        if (status?.current !== undefined && !released.has(name))
          released.set(name, performance.now());
      },
    },
    signal,
  );
  await informer.synced;
  return {
    get times() {
      return [...released.values()];
    },
    until: async (count, deadline) => {
      while (released.size < count) {
        if (performance.now() > deadline)
          throw new Error(`${released.size} of ${count} AIApps are released, and time is up`);
        await delay(100);
      }
    },
  };
}

/** Until the operator has written nothing for a while: then all is at rest. At most a minute: writes at rest are a figure. */
async function untilQuiet(operator: OperatorProcess): Promise<void> {
  const deadline = performance.now() + MINUTE_MS;
  for (;;) {
    const before = await writesOf(operator);
    await delay(SETTLE_MS);
    const after = await writesOf(operator);
    if (after.all === before.all || performance.now() > deadline) return;
  }
}

async function writesOf(
  operator: OperatorProcess,
): Promise<{ readonly all: number; readonly events: number }> {
  let [all, events] = [0, 0];
  for (const [sample, value] of await operator.metrics()) {
    if (!sample.startsWith("rest_client_requests_total{")) continue;
    const method = /method="(\w+)"/.exec(sample)?.[1] ?? "";
    if (WRITES.includes(method)) all += value;
    if (method === "POST") events += value;
  }
  return { all, events };
}

/** The sum of a metric over its labels. */
function sumOf(samples: ReadonlyMap<string, number>, name: string): number {
  let sum = 0;
  for (const [sample, value] of samples)
    if (sample === name || sample.startsWith(`${name}{`)) sum += value;
  return sum;
}

async function printProfile(
  { inspectorPort }: OperatorProcess,
  what: string,
  work: () => Promise<void>,
): Promise<void> {
  const spent = await profiled(inspectorPort, work);
  console.log(`CPU of the operator ${what}`);
  const print = (title: string, by: (one: Spent) => number): void => {
    console.log(title);
    for (const one of spent.toSorted((a, b) => by(b) - by(a)).slice(0, PROFILE_ROWS))
      console.log(
        `${one.self.toFixed(0).padStart(8)} ${one.total.toFixed(0).padStart(8)}  ${one.name}`,
      );
  };
  print("milliseconds in itself, and with what it calls; most in itself:", ({ self }) => self);
  print("the same, most with what it calls:", ({ total }) => total);
}

async function printHeap(operator: OperatorProcess): Promise<void> {
  const { groups, duplicateStringBytes } = await summarizeHeap(await operator.snapshotHeap(), 20);
  console.log(`equal strings, kept more than once: ${(duplicateStringBytes / 1e6).toFixed(2)} MB`);
  for (const { name, count, bytes } of groups)
    console.log(`${(bytes / 1e6).toFixed(2).padStart(8)} MB ${String(count).padStart(9)}  ${name}`);
}
