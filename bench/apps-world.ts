import { join } from "node:path";

import { KubeConfig } from "@kubernetes/client-node";

import { API_VERSION, KIND } from "../crds/names.ts";
import { aiappKind } from "../operator/aiapp/status-writer.ts";
import { systemClock } from "../operator/clock.ts";
import { createKube, type Kube } from "../operator/kube/client.ts";
import {
  kinds,
  type KubernetesObject,
  type V1Deployment,
  type V1Pod,
} from "../operator/kube/types.ts";
import { createLogger } from "../operator/log.ts";
import { startInformer } from "../operator/runtime/informer.ts";
import { publish } from "../test/contract/publish.ts";
import { pushImage } from "../test/contract/push.ts";
import { startApiServer, type ApiServer } from "../test/support/apiserver.ts";
import { accountClient, startAzurite, storageAccount } from "../test/support/azurite.ts";
import { installCrds } from "../test/support/crds.ts";
import { startRegistry } from "../test/support/registry.ts";

/** What the operator works on in `bench apps`: a real API server with etcd, a registry and a storage account. */
export interface AppsWorld {
  readonly server: ApiServer;
  readonly kube: Kube;
  /** The operator's environment: where it may read from. */
  readonly environment: Readonly<Record<string, string>>;
  readonly createApp: (index: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

export const NAMESPACE = "bench";
/** What a bare client writes goes here: out of sight of the stand-in for the Deployment controller. */
export const BARE_NAMESPACE = "bare";
const SOURCES = 50;
const SECRET = "storage";
/** Enough for a Service per app: the default of the tests ends at 254. */
const SERVICE_RANGE = "--service-cluster-ip-range=10.0.0.0/12";
const WRITE_TIMEOUT_MS = 30_000;

export async function startAppsWorld(folder: string): Promise<AppsWorld> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closers.splice(0).toReversed()) await one();
  };
  try {
    const server = await startApiServer({ flags: [SERVICE_RANGE] });
    closers.push(server.close);
    const registry = await startRegistry(join(folder, "registry"));
    closers.push(registry.close);
    const azurite = await startAzurite();
    closers.push(azurite.close);

    const config = new KubeConfig();
    config.loadFromFile(server.kubeconfig);
    const kube = createKube({ config, requestTimeoutMs: WRITE_TIMEOUT_MS });
    await prepareCluster(server, azurite.port);
    await publishSources(registry.port, azurite.port);

    const store = `http://127.0.0.1:${azurite.port}/${storageAccount.name}/models`;
    const createApp = async (index: number): Promise<void> => {
      const source = index % SOURCES;
      const app: KubernetesObject & { readonly spec: unknown } = {
        apiVersion: API_VERSION,
        kind: KIND,
        metadata: { namespace: NAMESPACE, name: `app-${index}` },
        spec: {
          image: `127.0.0.1:${registry.port}/contoso/app-${source}:1`,
          modelVersion: "1",
          model: { store, name: `model-${source}` },
          interval: "1m",
          // No nodes run here: nothing could verify a release.
          verify: { enabled: false },
          service: { type: "ClusterIP" },
          credentials: { storage: SECRET, anonymous: ["Registry"] },
        },
      };
      await kube.create(aiappKind, app, AbortSignal.timeout(WRITE_TIMEOUT_MS));
    };
    return {
      server,
      kube,
      environment: {
        INSECURE_HOSTS: `127.0.0.1:${registry.port},127.0.0.1:${azurite.port}`,
        ALLOW_LOOPBACK: "true",
      },
      createApp,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function prepareCluster(server: ApiServer, storagePort: number): Promise<void> {
  const { kubectl } = server;
  await installCrds(server);
  for (const name of [NAMESPACE, BARE_NAMESPACE]) await kubectl(["create", "namespace", name]);
  // prettier-ignore
  await kubectl([
    "create", "secret", "generic", SECRET, "--namespace", NAMESPACE,
    `--from-literal=accountName=${storageAccount.name}`, `--from-literal=accountKey=${storageAccount.key}`,
    `--from-literal=endpoint=127.0.0.1:${storagePort}`,
  ]);
}

async function publishSources(registryPort: number, storagePort: number): Promise<void> {
  const container = accountClient(storagePort).getContainerClient("models");
  for (let source = 0; source < SOURCES; source += 1) {
    await publish(container, `model-${source}`, "1");
    await pushImage({ port: registryPort, repository: `contoso/app-${source}` }, "1", `${source}`);
  }
}

/**
 * Stands in for the Deployment controller and the kubelets: marks each Deployment as rolled out at once. Returns the
 * Deployments that it knows.
 */
export async function rollOutDeployments(
  kube: Kube,
  signal: AbortSignal,
): Promise<() => readonly V1Deployment[]> {
  const markRolledOut = async ({ metadata, spec, status }: V1Deployment): Promise<void> => {
    const { namespace, name = "", generation = 0 } = metadata ?? {};
    if (status?.observedGeneration === generation) return;
    const replicas = spec?.replicas ?? 1;
    const patch = {
      status: {
        observedGeneration: generation,
        replicas,
        updatedReplicas: replicas,
        readyReplicas: replicas,
        availableReplicas: replicas,
      },
    };
    const options = { subresource: "status" } as const;
    await kube.patch(kinds.deployment, namespace, name, patch, options, signal);
  };
  const informer = startInformer(
    {
      kube,
      kind: kinds.deployment,
      namespace: NAMESPACE,
      clock: systemClock,
      log: createLogger("warn"),
      onChange: (deployment, { gone }) => {
        if (gone) return;
        markRolledOut(deployment).catch((error: unknown) => {
          if (!signal.aborted) console.error(error);
        });
      },
    },
    signal,
  );
  await informer.synced;
  return () => [...informer.list()];
}

/** A running pod of a Deployment, with all that a kubelet reports of one. */
export async function runPod(
  kube: Kube,
  { metadata, spec }: V1Deployment,
  signal: AbortSignal,
): Promise<void> {
  const name = `${metadata?.name ?? ""}-pod`;
  const { labels, annotations } = spec?.template.metadata ?? {};
  const containers = spec?.template.spec?.containers ?? [];
  const pod: V1Pod = {
    metadata: {
      namespace: NAMESPACE,
      name,
      ...(labels && { labels }),
      ...(annotations && { annotations }),
    },
    spec: { containers, ...spec?.template.spec },
  };
  await kube.create(kinds.pod, pod, signal);
  const types = ["PodScheduled", "Initialized", "ContainersReady", "Ready"];
  const startedAt = "2026-03-01T08:00:00Z";
  const status = {
    phase: "Running",
    startTime: startedAt,
    podIP: "10.1.2.3",
    conditions: types.map((type) => ({ type, status: "True", lastTransitionTime: startedAt })),
    containerStatuses: containers.map((container) => ({
      name: container.name,
      image: container.image ?? "",
      imageID: container.image ?? "",
      containerID: `containerd://${name}`,
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt } },
    })),
  };
  const options = { subresource: "status" } as const;
  await kube.patch(kinds.pod, NAMESPACE, name, { status }, options, signal);
}
