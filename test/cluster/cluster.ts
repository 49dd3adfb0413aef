import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";

import { Listr, PRESET_TIMER, type ListrTask } from "listr2";

import { startDns, startLoadBalancer } from "./addons.ts";
import { ensureBinaries, type Binaries } from "./binaries.ts";
import { startControlPlane, writeKubeconfig } from "./control-plane.ts";
import { ensurePauseImage } from "./images.ts";
import { clusterLayout, type Layout } from "./layout.ts";
import { cgroupsOf, removeCgroups, startNode } from "./node.ts";
import { ensurePackages } from "./packages.ts";
import { exitCodeOf, isAlive, recorded } from "./process.ts";
import { createSandbox, destroySandbox, findSandbox, type Sandbox } from "./sandbox.ts";

/** A running cluster of this machine. */
export interface LocalCluster {
  readonly layout: Layout;
  readonly sandbox: Sandbox;
  readonly binaries: Binaries;
}

/** The cluster that commands refer to: a second one can run under another name. */
export function currentLayout(): Layout {
  return clusterLayout(process.env["AIAPP_NETNS"] ?? "aiapp");
}

async function nodesUp(layout: Layout): Promise<number> {
  const names = new Set((await recorded(layout.processes)).map(({ name }) => name));
  return names.has("kubelet-2") ? 2 : names.has("kubelet-1") ? 1 : 0;
}

/** Whether every process that `up` started still runs. */
async function intact(layout: Layout): Promise<boolean> {
  const ready = await stat(join(layout.folder, "ready")).catch(() => undefined);
  if (ready === undefined) return false;
  const all = await recorded(layout.processes);
  const alive = await Promise.all(all.map(isAlive));
  return all.length > 0 && alive.every(Boolean);
}

export async function findCluster(signal?: AbortSignal): Promise<LocalCluster | undefined> {
  const layout = currentLayout();
  const sandbox = await findSandbox(layout);
  if (sandbox === undefined || !(await intact(layout))) return undefined;
  return { layout, sandbox, binaries: await ensureBinaries(signal) };
}

interface Context {
  binaries?: Binaries;
  pause?: string;
  sandbox?: Sandbox;
}

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("an earlier step did not finish");
  return value;
}

/** The steps of `up` that need no running cluster: slow the first time, instant from the cache. */
export function prepareTasks(signal?: AbortSignal): ListrTask<Context>[] {
  return [
    {
      title: "Debian packages",
      task: async (_, task) => {
        const installed = await ensurePackages(signal);
        task.title =
          installed.length > 0 ? `Debian packages: ${installed.join(", ")}` : "Debian packages";
      },
    },
    {
      title: "Kubernetes, Helm, CoreDNS and MetalLB from source (minutes, the first time)",
      task: async (context, task) => {
        context.binaries = await ensureBinaries(signal, (line) => {
          task.output = line;
        });
        context.pause = await ensurePauseImage(context.binaries, signal);
        task.title = "Kubernetes, Helm, CoreDNS and MetalLB";
      },
    },
  ];
}

function startTasks(layout: Layout, nodes: number): ListrTask<Context>[] {
  return [
    {
      title: "Namespaces and bridge",
      task: async (context) => {
        context.sandbox = await createSandbox(layout, need(context.binaries).pause);
      },
    },
    {
      title: "Control plane",
      task: async ({ sandbox, binaries }) =>
        startControlPlane(layout, need(sandbox), need(binaries)),
    },
    {
      title: "DNS and load balancer",
      task: async ({ sandbox, binaries }) => {
        await startDns(layout, need(sandbox), need(binaries));
        await startLoadBalancer(layout, need(sandbox), need(binaries));
      },
    },
    ...nodeTasks(layout, 1, nodes),
  ];
}

function nodeTasks(layout: Layout, from: number, to: number): ListrTask<Context>[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, offset) => ({
    title: `Node ${from + offset}`,
    task: async ({ sandbox, binaries, pause }: Context): Promise<void> =>
      startNode(layout, need(sandbox), need(binaries), from + offset, need(pause)),
  }));
}

/** Starts the cluster unless it runs. Cleans up after a crash first. */
export async function up({
  nodes = 1,
  signal,
  quiet = false,
}: { nodes?: number; signal?: AbortSignal; quiet?: boolean } = {}): Promise<LocalCluster> {
  const layout = currentLayout();
  const context: Context = {};
  const run = (tasks: ListrTask<Context>[]): Promise<Context> =>
    new Listr<Context, "default", "verbose">(tasks, {
      ctx: context,
      rendererOptions: { collapseSubtasks: false, timer: PRESET_TIMER },
      fallbackRenderer: "verbose",
      fallbackRendererOptions: { timer: PRESET_TIMER },
      silentRendererCondition: quiet,
    }).run();
  await run(prepareTasks(signal));
  const running = (await intact(layout)) ? await findSandbox(layout) : undefined;
  if (running === undefined) {
    await down();
    await mkdir(layout.folder, { recursive: true, mode: 0o755 });
    await run(startTasks(layout, nodes));
    await writeFile(join(layout.folder, "ready"), "");
  } else {
    context.sandbox = running;
    await run(nodeTasks(layout, (await nodesUp(layout)) + 1, nodes));
  }
  return { layout, sandbox: need(context.sandbox), binaries: need(context.binaries) };
}

/** Stops the cluster and cleans up after a crash. Idempotent. */
export async function down(): Promise<void> {
  const layout = currentLayout();
  await destroySandbox(layout);
  for (const one of await recorded(layout.processes)) {
    // nsenter processes wait outside; their children ended with the sandbox.
    if (await isAlive(one)) process.kill(one.pid, "SIGKILL");
  }
  await removeCgroups(layout);
  await rm(layout.folder, { recursive: true, force: true });
}

/** Descriptions of what the cluster left on this machine. Empty after `down`. */
export async function leftovers(): Promise<readonly string[]> {
  const layout = currentLayout();
  const processes = await recorded(layout.processes);
  const mounts = (await readFile("/proc/self/mounts", "utf8"))
    .split("\n")
    .filter((line) => line.includes(` ${layout.folder}/`));
  return [
    ...processes.map(({ name }) => `process ${name}`),
    ...mounts.map((line) => `mount ${line.split(" ")[1] ?? ""}`),
    ...(await cgroupsOf(layout)).map((folder) => `cgroup ${folder}`),
    ...((await stat(layout.folder).catch(() => undefined)) ? [`folder ${layout.folder}`] : []),
  ];
}

/** Opens a port of loopback outside that leads to an address inside; it ends with the cluster. */
export async function relay(cluster: LocalCluster, address: string, port: number): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const bound = server.address();
  const handle: unknown = Reflect.get(server, "_handle");
  if (
    bound === null ||
    typeof bound === "string" ||
    handle === null ||
    typeof handle !== "object"
  ) {
    throw new Error("no loopback port could be opened for the relay");
  }
  const { logs } = cluster.layout;
  await mkdir(logs, { recursive: true });
  const log = openSync(join(logs, "relay.log"), "a");
  const [command, ...args] = cluster.sandbox.enter([
    process.execPath,
    join(import.meta.dirname, "relay.ts"),
    address,
    String(port),
  ]);
  const child = spawn(command, args, {
    detached: true,
    // Node passes a listening handle as a descriptor, which its types do not declare.
    stdio: ["ignore", log, log, handle as never],
  });
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("spawn", resolve);
  });
  child.unref();
  server.close();
  return bound.port;
}

/** Runs a command inside the cluster's network, with kubectl and helm on its PATH, and gives its exit code. */
export async function runIn(
  cluster: LocalCluster,
  command: readonly [string, ...string[]],
  environment: NodeJS.ProcessEnv = {},
): Promise<number> {
  const [file, ...args] = cluster.sandbox.enter(["env", `--chdir=${process.cwd()}`, ...command]);
  return exitCodeOf(file, args, {
    ...environment,
    PATH: `${cluster.binaries.folder}:${process.env["PATH"] ?? ""}`,
    KUBECONFIG: cluster.layout.kubeconfig,
  });
}

/** A kubeconfig that works outside the sandbox, over loopback. */
export async function loopbackKubeconfig(cluster: LocalCluster): Promise<string> {
  const { layout } = cluster;
  if ((await stat(layout.relayKubeconfig).catch(() => undefined)) === undefined) {
    const port = await relay(cluster, "10.244.0.1", 6443);
    const authority = await readFile(join(layout.authority, "ca.crt"), "utf8");
    await writeKubeconfig(layout.relayKubeconfig, authority, `https://127.0.0.1:${port}`, "admin");
  }
  return layout.relayKubeconfig;
}
