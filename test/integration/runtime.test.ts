import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KubeConfig } from "@kubernetes/client-node";

import { systemClock } from "../../operator/clock.ts";
import { createKube, type Kube } from "../../operator/kube/client.ts";
import {
  kinds,
  type Kind,
  type KubernetesObject,
  type V1Deployment,
} from "../../operator/kube/types.ts";
import { createLogger } from "../../operator/log.ts";
import { createMetrics } from "../../operator/metrics.ts";
import { OperatorFrame } from "../../operator/runtime/frame.ts";
import { keyOf } from "../../operator/runtime/key.ts";
import { startInformer, type Informer } from "../../operator/runtime/informer.ts";
import { lead } from "../../operator/runtime/leader.ts";
import { eventually } from "../cluster/process.ts";
import { startApiServer, type ApiServer } from "../support/apiserver.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";

/** The frame's parts on a real API server, by way of a network that misbehaves. */

const configMap: Kind<KubernetesObject & { data?: Record<string, string> }> = {
  apiVersion: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
};
const log = createLogger("silent");
let server: ApiServer;
let proxy: TcpProxy;

beforeAll(async () => {
  server = await startApiServer();
  proxy = await startTcpProxy(server.port);
});
afterAll(async () => {
  await proxy.close();
  await server.close();
});

async function kubeVia(port: number): Promise<Kube> {
  const config = new KubeConfig();
  config.loadFromFile(await server.kubeconfigFor({ port }));
  return createKube({ config, requestTimeoutMs: 5000 });
}

const write = (name: string, value: string): Promise<string> =>
  server.kubectl(
    ["apply", "--filename", "-"],
    JSON.stringify({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace: "default", labels: { test: "informer" } },
      data: { value },
    }),
  );

describe("an informer", () => {
  const stop = new AbortController();
  let informer: Informer<KubernetesObject & { data?: Record<string, string> }>;
  const changes: string[] = [];
  const valueOf = (name: string): string | undefined =>
    informer.get("default", name)?.data?.["value"];

  beforeAll(async () => {
    await write("before", "1");
    informer = startInformer(
      {
        kube: await kubeVia(proxy.port),
        kind: configMap,
        namespace: "default",
        labelSelector: "test=informer",
        onChange: ({ metadata }, { gone }) => changes.push(`${gone ? "-" : "+"}${metadata?.name}`),
        clock: systemClock,
        log,
        silenceMs: 3000,
      },
      stop.signal,
    );
    await informer.synced;
  });
  afterAll(() => stop.abort());

  it("holds what was there, and what comes and goes", async () => {
    expect(valueOf("before")).toBe("1");
    await write("later", "1");
    await eventually("the new object", 10_000, async () => valueOf("later") === "1");
    await server.kubectl(["delete", "configmap", "later"]);
    await eventually("its end", 10_000, async () => valueOf("later") === undefined);
    expect(changes).toEqual(["+before", "+later", "-later"]);
  });

  it("goes on when its connection is cut", async () => {
    proxy.become("refuse");
    await write("before", "2");
    proxy.become("pass");
    await eventually("what was missed", 20_000, async () => valueOf("before") === "2");
    expect(changes.at(-1)).toBe("+before");
  });

  it("notices a watch that has fallen silent, and catches up", async () => {
    proxy.stallOpen();
    await write("before", "3");
    // The back-off goes on from where the cut connections left it: half a minute at most.
    await eventually("what was missed", 60_000, async () => valueOf("before") === "3");
    expect(changes.at(-1)).toBe("+before");
  });

  it("goes on when the API server was away", async () => {
    await server.pause("SIGKILL");
    await server.resume();
    await write("before", "4");
    await eventually("what was missed", 60_000, async () => valueOf("before") === "4");
    expect(changes.at(-1)).toBe("+before");
  });
});

describe("an object that does not fit its schema", () => {
  it("is distinguished from an API server that fails, which answers 500 as well", async () => {
    const kube = await kubeVia(server.port);
    const metadata = { namespace: "default", name: "misspelt" };
    const spec: unknown = { template: { spec: { contaners: [] } } };
    const applied = kube.apply(
      kinds.deployment,
      { metadata, spec } as V1Deployment,
      { fieldManager: "tests", force: true },
      AbortSignal.timeout(10_000),
    );
    await expect(applied).rejects.toMatchObject({ code: "KUBE_INVALID" });
    await expect(applied).rejects.toThrow(/contaners.*not declared in schema/);
  });
});

describe("an election", () => {
  it("has one leader, and another when that one releases the Lease", async () => {
    const kube = await kubeVia(server.port);
    const options = (identity: string) => ({
      kube,
      namespace: "default",
      name: "election",
      identity,
      leaseSeconds: 3,
      renewDeadlineSeconds: 2,
      retrySeconds: 0.5,
      clock: systemClock,
      log,
    });
    const stop = new AbortController();
    const first = await lead(options("first"), stop.signal);
    let second: Awaited<ReturnType<typeof lead>>;
    const waiting = lead(options("second"), stop.signal).then((leadership) => {
      second = leadership;
    });
    const holder = async (): Promise<string | undefined> =>
      (await kube.get(kinds.lease, "default", "election", stop.signal))?.spec?.holderIdentity;
    // Longer than a Lease lasts: renewing keeps it.
    const renewals = new Set<string>();
    await eventually("three renewals", 20_000, async () => {
      const lease = await kube.get(kinds.lease, "default", "election", stop.signal);
      renewals.add(lease?.metadata?.resourceVersion ?? "");
      return renewals.size >= 10;
    });
    expect(await holder()).toBe("first");
    expect(second).toBeUndefined();

    await first?.release();
    await waiting;
    expect(await holder()).toBe("second");
    expect(first?.signal.aborted).toBe(true);
    await second?.release();
    stop.abort();
  });

  it("ends leading when the Lease cannot be renewed in time, before another replica may lead", async () => {
    const through = await kubeVia(proxy.port);
    const direct = await kubeVia(server.port);
    const stop = new AbortController();
    const common = {
      namespace: "default",
      name: "lost",
      leaseSeconds: 4,
      renewDeadlineSeconds: 2,
      retrySeconds: 0.5,
      clock: systemClock,
      log,
    };
    const first = await lead({ ...common, kube: through, identity: "first" }, stop.signal);
    proxy.become("swallow");
    const second = await lead({ ...common, kube: direct, identity: "second" }, stop.signal);
    expect(first?.signal.aborted).toBe(true);
    proxy.become("pass");
    await second?.release();
    stop.abort();
  });
});

describe("the frame", () => {
  /** As the frame's own documentation has it: a subclass whose `init` watches a resource. */
  class Watcher extends OperatorFrame {
    readonly seen: string[] = [];
    failures = 0;

    protected override async init(): Promise<void> {
      const events = new Map<string, string>();
      const queue = this.controller({
        name: "watcher",
        workers: 1,
        reconcile: async (key) => {
          if (this.failures > 0) {
            this.failures -= 1;
            throw new Error("not this time");
          }
          this.seen.push(events.get(key) ?? "");
          return { kind: "done" };
        },
      });
      await this.watchResource(
        "",
        "v1",
        "configmaps",
        async ({ type, meta, object }) => {
          if (!meta.name.startsWith("frame")) return;
          events.set(keyOf(object), `${meta.name} ${type}`);
          queue.add(keyOf(object), "default");
        },
        "default",
      );
    }
  }

  it("watches through watchResource, tries failed events again, and stops cleanly", async () => {
    process.env["KUBECONFIG"] = server.kubeconfig;
    const watcher = new Watcher({ log, clock: systemClock, metrics: createMetrics() });
    watcher.failures = 2;
    await watcher.start();
    expect(watcher.isReady()).toBe(true);
    await write("frame", "1");
    await eventually("the event that failed twice", 20_000, async () => watcher.seen.length === 1);
    await server.kubectl(["delete", "configmap", "frame"]);
    await eventually("its end", 20_000, async () => watcher.seen.length === 2);
    expect(new Set(watcher.seen).size).toBe(2);
    await watcher.shutdown();
    expect(watcher.ended.aborted).toBe(true);
    await write("frame-late", "1");
    expect(watcher.seen).toHaveLength(2);
    delete process.env["KUBECONFIG"];
  });
});
