import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { readApp, waitFor, isReleased } from "../support/aiapp.ts";
import { readGiven, type Platform } from "../support/platform.ts";
import {
  apply,
  digits,
  everyKind,
  list,
  patch,
  serving,
  setUp,
  tearDown,
  traffic,
} from "./harness.ts";

/** Terminating pods: by rollouts, by the Eviction API, by node drains. Under every kind of request. */

// The tests do not drain nodes of an existing cluster.
const isOurs = readGiven(process.env).kind === "local";
const NAMESPACE = "e2e-disruption";
let platform: Platform;

beforeAll(async () => {
  if (!isOurs) return;
  platform = await setUp(NAMESPACE, ["1", "2"]);
});
afterAll(async () => {
  if (isOurs) await tearDown(platform, NAMESPACE);
});

interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly deletionTimestamp?: string;
  };
  readonly spec: { readonly nodeName: string };
}

async function podsOf(name: string): Promise<readonly Pod[]> {
  const items = await list<Pod>(platform, NAMESPACE, "pods", `aiapp.dev/app=${name}`);
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

/** Evicts as `kubectl drain` does: a PodDisruptionBudget may refuse. */
async function evict({ metadata: { name } }: Pod): Promise<void> {
  const eviction = {
    apiVersion: "policy/v1",
    kind: "Eviction",
    metadata: { name, namespace: NAMESPACE },
  };
  // prettier-ignore
  await platform.kubectl(["create", "--raw", `/api/v1/namespaces/${NAMESPACE}/pods/${name}/eviction`, "--filename", "-"], JSON.stringify(eviction));
}

/** Waits until another pod has replaced the evicted one, which has terminated. */
async function replaced(name: string, old: Pod): Promise<void> {
  await waitFor(platform, { namespace: NAMESPACE, name }, "another pod", async (app) => {
    const pods = await podsOf(name);
    return isReleased(app) && !pods.some(({ metadata }) => metadata.uid === old.metadata.uid);
  });
  await platform.kubectl([
    "wait",
    `pod/${old.metadata.name}`,
    "--namespace",
    NAMESPACE,
    "--for=delete",
    "--timeout=90s",
  ]);
}

describe.runIf(isOurs).each([
  ["one", 1],
  ["two", 2],
])("an app of %s", (name, replicas) => {
  beforeAll(async () => {
    await apply(platform, digits(platform, NAMESPACE, name, { replicas }));
    await serving(platform, NAMESPACE, name, "the first release");
  });
  afterAll(() => platform.kubectl(["delete", "aia", name, "--namespace", NAMESPACE]));

  /** Sends every kind of request while `work` terminates pods: each response must be right. */
  async function underTraffic(work: () => Promise<void>): Promise<void> {
    const app = await readApp(platform, NAMESPACE, name);
    const load = await traffic(app.status?.url, everyKind);
    try {
      await work();
    } finally {
      await load.stop();
    }
    const summary = await load.stop();
    expect(summary.failures).toEqual([]);
    expect(summary.failed).toBe(0);
    expect(summary.dropped).toBe(0);
    for (const kind of ["keepAlive", "fresh", "pipelined", "idle", "long"] as const)
      expect(summary.kinds[kind]?.requests).toBeGreaterThan(0);
  }

  it("loses no request over rollouts", () =>
    underTraffic(async () => {
      for (const version of ["2", "1", "2", "1"]) {
        await patch(platform, NAMESPACE, name, { modelVersion: version });
        await serving(
          platform,
          NAMESPACE,
          name,
          `version ${version}`,
          ({ status }) => status?.current?.modelVersion === version,
        );
      }
    }));

  it("loses no request when its pods are evicted", () =>
    underTraffic(async () => {
      for (let round = 0; round < 2; round += 1) {
        const [pod] = await podsOf(name);
        if (pod === undefined) throw new Error("the app has no pod");
        await evict(pod);
        await replaced(name, pod);
      }
    }));

  it("loses no request when the node that it runs on is drained", () =>
    underTraffic(async () => {
      for (const node of ["node-1", "node-2"]) {
        // prettier-ignore
        await platform.kubectl(["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector", `aiapp.dev/app=${name}`, "--timeout=180s"]);
        const pods = await podsOf(name);
        expect(pods.every(({ spec }) => spec.nodeName !== node)).toBe(true);
        await waitFor(platform, { namespace: NAMESPACE, name }, "all pods", isReleased);
        await platform.kubectl(["uncordon", node]);
      }
    }));
});
