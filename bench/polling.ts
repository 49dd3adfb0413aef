import { setTimeout as delay } from "node:timers/promises";
import { join } from "node:path";

import { readApp, condition } from "../test/support/aiapp.ts";
import { models } from "../test/demo/pictures.ts";
import type { Platform } from "../test/support/platform.ts";
import { leaderOf, SYSTEM } from "../test/support/trial.ts";
import { atMost, reported, type Figure } from "./figures.ts";
import { NAMESPACE, withTenant } from "./tenant.ts";

/** Cost at rest: requests a minute to registry and storage for 50 AIApps over three sources (two images, one model). */

const APPS = 50;
const INTERVAL_SECONDS = 10;
const MINUTE_MS = 60_000;

async function setUp(platform: Platform): Promise<void> {
  for (const tag of ["a", "b"])
    await platform.push(platform.images.server, `${platform.registry}/bench:${tag}`);
  await platform.publish(join(models, "1"), "rest", "1");
  const apps = Array.from({ length: APPS }, (_, index) => ({
    apiVersion: "aiapp.dev/v1alpha1",
    kind: "AIApp",
    metadata: { name: `app-${index}`, namespace: NAMESPACE },
    spec: {
      image: `${platform.registry}/bench:${index % 2 === 0 ? "a" : "b"}`,
      modelVersion: "1",
      model: { store: platform.store, name: "rest" },
      interval: `${INTERVAL_SECONDS}s`,
      // No pods: only polls are measured.
      replicas: 0,
      service: { type: "ClusterIP" },
      credentials: platform.credentials,
    },
  }));
  await platform.kubectl(
    ["apply", "--filename", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "List", items: apps }),
  );
}

/** Waits until the last app is released, and a little longer. */
async function atRest(platform: Platform): Promise<void> {
  const deadline = Date.now() + 180_000;
  for (let index = 0; index < APPS;) {
    const app = await readApp(platform, NAMESPACE, `app-${index}`);
    if (condition(app, "Released")?.status === "True") index += 1;
    else if (Date.now() > deadline) throw new Error(`app-${index} is not released`);
    else await delay(500);
  }
  await delay(5000);
}

/** The metrics of the leader. */
async function metrics(platform: Platform): Promise<ReadonlyMap<string, number>> {
  const leader = await leaderOf(platform.kubectl);
  const path = `/api/v1/namespaces/${SYSTEM}/pods/${leader}:8080/proxy/metrics`;
  const lines = (await platform.kubectl(["get", "--raw", path])).split("\n");
  return new Map(
    lines.flatMap((line) => {
      const match = /^(\w+)(?:\{[^}]*\})? (\S+)$/.exec(line);
      return match === null ? [] : [[match[1] ?? "", Number(match[2])] as const];
    }),
  );
}

export function run(): Promise<readonly Figure[]> {
  return withTenant(measureRest);
}

async function measureRest(platform: Platform): Promise<readonly Figure[]> {
  await setUp(platform);
  await atRest(platform);
  await platform.forgetRequests();
  await delay(MINUTE_MS);
  const requests = await platform.requests();
  const memory = await metrics(platform);

  const registry = requests.filter(({ service }) => service === "acr");
  const storage = requests.filter(({ service }) => service === "blob");
  const dear = requests.filter(({ method, status }) => method !== "HEAD" && status !== 304);
  const owed = (sources: number): number => (sources * 60) / INTERVAL_SECONDS;
  const megabytes = (name: string): number => (memory.get(name) ?? Number.NaN) / 1e6;
  return [
    reported("AIApps", APPS, ""),
    reported("interval", INTERVAL_SECONDS, "s"),
    reported("requests to the registry, two sources", registry.length, "a minute"),
    reported("requests to storage, one source", storage.length, "a minute"),
    // A jitter of 5 % and the edges of the minute may add one poll a source.
    atMost("polls a source and interval, registry", registry.length / owed(2), "", 1.2),
    atMost("polls a source and interval, storage", storage.length / owed(1), "", 1.2),
    atMost("requests that were neither HEAD nor answered 304", dear.length, "", 0),
    atMost(
      "memory of the operator at rest (resident)",
      megabytes("process_resident_memory_bytes"),
      "MB",
      200,
    ),
    reported("  of it: JavaScript heap in use", megabytes("nodejs_heap_size_used_bytes"), "MB"),
    reported("  of it: JavaScript heap reserved", megabytes("nodejs_heap_size_total_bytes"), "MB"),
    reported("  of it: buffers outside the heap", megabytes("nodejs_external_memory_bytes"), "MB"),
  ];
}
