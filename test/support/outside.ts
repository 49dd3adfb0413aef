import { rm, stat } from "node:fs/promises";
import { join } from "node:path";

import { Listr, PRESET_TIMER, type ListrTask } from "listr2";

import { ensureBinaries } from "../cluster/binaries.ts";
import { down, findCluster, runIn, up, type LocalCluster } from "../cluster/cluster.ts";
import { buildImage, ensureBaseImage } from "../cluster/images.ts";
import { ensurePackages } from "../cluster/packages.ts";
import { eventually, exitCodeOf, forget, recorded, terminate } from "../cluster/process.ts";
import { GIVEN, type Given } from "./platform.ts";
import { login } from "./world.ts";

/** Starts what the demo, the e2e tests and the benchmarks need, and runs a program inside its network. */

const WORLD = "world";

export interface Context {
  cluster?: LocalCluster;
  images: Partial<Given["images"]>;
}

export interface Prepared {
  /** Undefined: an existing cluster, which kubectl can reach from here. */
  readonly cluster: LocalCluster | undefined;
  readonly given: Given;
}

/** The images, which both kinds of clusters need: each built, or from the cache. */
export function imageTasks(signal?: AbortSignal): ListrTask<Context>[] {
  const image = (
    title: string,
    name: keyof Given["images"],
    dockerfile: string,
    build: string,
  ): ListrTask<Context> => ({
    title,
    task: async ({ images }) => {
      const buildArgs = { ...(build !== "" && { SERVER_BUILD: build }) };
      images[name] = await buildImage({ dockerfile, buildArgs }, signal);
    },
  });
  return [
    { title: "base", task: async () => void (await ensureBaseImage(signal)) },
    image("operator", "operator", "Dockerfile.operator", ""),
    image("model server", "server", "Dockerfile.server", "1"),
    image("model server, a newer build", "serverNext", "Dockerfile.server", "2"),
  ];
}

function prepareTasks(nodes: number, signal?: AbortSignal): ListrTask<Context>[] {
  return [
    { title: "Debian packages", task: async () => void (await ensurePackages(signal)) },
    {
      title: "Tools and images, minutes the first time",
      task: (_, task) =>
        task.newListr<Context>(
          [
            {
              title: "Kubernetes, Helm, CoreDNS and MetalLB from source",
              task: async (__, own) =>
                void (await ensureBinaries(signal, (line) => {
                  own.output = line;
                })),
            },
            {
              title: "Images",
              task: (__, own) => own.newListr<Context>(imageTasks(signal), { concurrent: false }),
            },
          ],
          { concurrent: true },
        ),
    },
    {
      title: "Kubernetes",
      task: async (context) => {
        context.cluster = await up({ nodes, quiet: true, ...(signal && { signal }) });
      },
    },
    {
      title: "Storage account, ACR and registry",
      task: async ({ cluster }) => startWorldIn(need(cluster)),
    },
  ];
}

/** Runs steps, and shows their progress. */
export async function runTasks(tasks: ListrTask<Context>[]): Promise<Context> {
  return new Listr<Context, "default", "verbose">(tasks, {
    ctx: { images: {} },
    rendererOptions: { collapseSubtasks: false, timer: PRESET_TIMER },
    fallbackRenderer: "verbose",
    fallbackRendererOptions: { timer: PRESET_TIMER },
  }).run();
}

export function builtImages({ images }: Context): Given["images"] {
  const { operator, server, serverNext } = images;
  return { operator: need(operator), server: need(server), serverNext: need(serverNext) };
}

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("an earlier step did not finish");
  return value;
}

/** Restarts the services: with an empty storage account and without faults. */
async function startWorldIn({ layout, sandbox }: LocalCluster): Promise<void> {
  const old = (await recorded(layout.processes)).find(({ name }) => name === WORLD);
  if (old !== undefined) await terminate(old);
  await forget(layout.processes, WORLD);
  const ready = join(layout.folder, "world.ready");
  await rm(ready, { force: true });
  await sandbox.spawn(WORLD, [
    process.execPath,
    join(import.meta.dirname, "main.ts"),
    "--authority",
    layout.authority,
    "--folder",
    join(layout.folder, WORLD),
    "--ready",
    ready,
  ]);
  await eventually(
    "storage account and registries",
    60_000,
    async () => (await stat(ready).catch(() => undefined)) !== undefined,
  );
}

/** Builds the images, and starts the cluster and the services. Each step is cached. */
async function prepare({
  nodes = 1,
  signal,
}: { readonly nodes?: number; readonly signal?: AbortSignal } = {}): Promise<Prepared> {
  const context = await runTasks(prepareTasks(nodes, signal));
  const cluster = need(context.cluster);
  const store = "https://contoso.blob.azure.test/models";
  return {
    cluster,
    given: {
      kind: "local",
      images: builtImages(context),
      registry: "contoso.azurecr.test",
      operatorImage: "registry.aiapp.test:5000/aiapp-operator",
      login,
      store,
      publishTo: store,
      insecureHosts: ["registry.aiapp.test:5000"],
      authority: cluster.layout.authority,
    },
  };
}

/** Runs a command in a network from which the cluster is reachable, and returns its exit code. It ends with this process. */
export async function runInside(
  { cluster, given }: Prepared,
  command: readonly [string, ...string[]],
): Promise<number> {
  const more = { [GIVEN]: JSON.stringify(given) };
  if (cluster === undefined) {
    const [file, ...args] = command;
    return exitCodeOf(file, args, more);
  }
  const ca = join(cluster.layout.authority, "ca.crt");
  return runIn(cluster, command, { ...more, NODE_EXTRA_CA_CERTS: ca });
}

export interface LocalOptions {
  readonly nodes?: number;
  readonly signal?: AbortSignal;
  /** Keep the cluster running. A cluster that was running before keeps running in any case. */
  readonly keep?: boolean;
}

/** Starts everything for `work`, and stops it afterwards. */
export async function withLocal<T>(
  { keep = false, ...options }: LocalOptions,
  work: (prepared: Prepared) => Promise<T>,
): Promise<T> {
  const wasUp = (await findCluster()) !== undefined;
  try {
    return await work(await prepare(options));
  } finally {
    if (!keep && !wasUp) await down();
  }
}
