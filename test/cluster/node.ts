import { mkdir, readFile, readdir, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { execa } from "execa";

import type { Binaries } from "./binaries.ts";
import { kubeconfigOf, type User } from "./control-plane.ts";
import { hosts, NODE_ADDRESS, type Layout, type NodeLayout } from "./layout.ts";
import { eventually } from "./process.ts";
import type { Sandbox } from "./sandbox.ts";

/** One node: a containerd and a kubelet. Nodes share the bridge, each with a range of pod addresses of its own. */

export const PAUSE_IMAGE = "aiapp.test/pause:1";

function cniConfig(node: NodeLayout): unknown {
  return {
    cniVersion: "1.0.0",
    name: `pods-${node.index}`,
    plugins: [
      {
        type: "bridge",
        bridge: "cni0",
        isGateway: false,
        hairpinMode: true,
        ipMasq: false,
        ipam: {
          type: "host-local",
          dataDir: join(node.folder, "ipam"),
          ranges: [
            [
              {
                subnet: "10.244.0.0/16",
                rangeStart: `10.244.${node.index}.10`,
                rangeEnd: `10.244.${node.index}.250`,
                gateway: NODE_ADDRESS,
              },
            ],
          ],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  };
}

function containerdConfig(node: NodeLayout): string {
  return `version = 2
root = "${node.folder}/root"
state = "${node.folder}/state"
[grpc]
  address = "${node.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "${node.folder}/certs.d"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${node.folder}/cni"
`;
}

function kubeletConfig(node: NodeLayout, cgroupRoot: string, authorityFile: string): unknown {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    cgroupDriver: "cgroupfs",
    cgroupRoot,
    failSwapOn: false,
    // A kubelet deletes the logs of pods that are not its own.
    podLogsDir: join(node.folder, "logs"),
    oomScoreAdj: 0,
    containerRuntimeEndpoint: `unix://${node.socket}`,
    clusterDNS: [NODE_ADDRESS],
    clusterDomain: "cluster.local",
    port: 10_250 + (node.index - 1) * 110,
    healthzPort: 10_248 + (node.index - 1) * 111,
    readOnlyPort: 0,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: authorityFile },
    },
    authorization: { mode: "Webhook" },
    evictionHard: {
      "memory.available": "100Mi",
      "nodefs.available": "1%",
      "imagefs.available": "1%",
    },
    imageGCHighThresholdPercent: 100,
    maxPods: 110,
  };
}

/** Makes containerd trust the registries of the tests. */
async function writeRegistries(layout: Layout, node: NodeLayout): Promise<void> {
  const authority = join(layout.authority, "ca.crt");
  const entries: readonly (readonly [string, string])[] = [
    [
      "contoso.azurecr.test",
      `server = "https://contoso.azurecr.test"\n[host."https://contoso.azurecr.test"]\n  capabilities = ["pull", "resolve"]\n  ca = "${authority}"\n`,
    ],
    [
      "registry.aiapp.test:5000",
      `server = "http://registry.aiapp.test:5000"\n[host."http://registry.aiapp.test:5000"]\n  capabilities = ["pull", "resolve"]\n`,
    ],
  ];
  for (const [host, toml] of entries) {
    if (!Object.hasOwn(hosts, host.replace(/:\d+$/, ""))) throw new Error(`no address for ${host}`);
    await mkdir(join(node.folder, "certs.d", host), { recursive: true });
    await writeFile(join(node.folder, "certs.d", host, "hosts.toml"), toml);
  }
}

const CGROUPS = "/sys/fs/cgroup";

/** Each node's pods are below a cgroup of its own, in every controller (v1) or in the one tree (v2). */
function cgroupRoot(layout: Layout, index: number): string {
  return `/aiapp-${layout.name}-${index}`;
}

async function cgroupParents(): Promise<string[]> {
  const entries = await readdir(CGROUPS, { withFileTypes: true });
  const unified = entries.some(({ name }) => name === "cgroup.controllers");
  return unified
    ? [CGROUPS]
    : entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(CGROUPS, name));
}

async function createCgroups(layout: Layout, index: number): Promise<void> {
  for (const parent of await cgroupParents()) {
    const folder = join(parent, cgroupRoot(layout, index));
    await mkdir(folder, { recursive: true });
    if (!parent.endsWith("cpuset")) continue;
    // A new cpuset of cgroup v1 is empty, so that no process can run in it.
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      await writeFile(join(folder, file), await readFile(join(parent, file)));
    }
  }
}

async function removeTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(folder, entry.name));
  await rmdir(folder).catch(() => {});
}

export async function cgroupsOf(layout: Layout): Promise<string[]> {
  const prefix = `aiapp-${layout.name}-`;
  const found = await Promise.all(
    (await cgroupParents()).map(async (parent) =>
      (await readdir(parent))
        .filter((name) => name.startsWith(prefix))
        .map((name) => join(parent, name)),
    ),
  );
  return found.flat();
}

/** A cgroup can be removed a moment after its last process ended. */
export async function removeCgroups(layout: Layout): Promise<void> {
  await eventually("the pods' cgroups to be removable", 10_000, async () => {
    for (const folder of await cgroupsOf(layout)) await removeTree(folder);
    return (await cgroupsOf(layout)).length === 0;
  });
}

export async function importImage(
  sandbox: Sandbox,
  node: NodeLayout,
  archive: string,
): Promise<void> {
  const [command, ...args] = sandbox.enter([
    "ctr",
    "--address",
    node.socket,
    "--namespace",
    "k8s.io",
    "images",
    "import",
    archive,
  ]);
  await execa(command, args);
}

export async function startNode(
  layout: Layout,
  sandbox: Sandbox,
  binaries: Binaries,
  index: number,
  pauseArchive: string,
): Promise<void> {
  const node = layout.node(index);
  await mkdir(join(node.folder, "cni"), { recursive: true });
  const root = cgroupRoot(layout, index);
  await createCgroups(layout, index);
  await writeRegistries(layout, node);
  await writeFile(join(node.folder, "cni", "10.conflist"), JSON.stringify(cniConfig(node)));
  await writeFile(join(node.folder, "containerd.toml"), containerdConfig(node));
  await writeFile(
    join(node.folder, "kubelet.json"),
    JSON.stringify(kubeletConfig(node, root, join(layout.authority, "ca.crt"))),
  );
  if (index > 1) {
    const [command, ...args] = sandbox.enter([
      "ip",
      "addr",
      "replace",
      `${node.address}/16`,
      "dev",
      "cni0",
    ]);
    await execa(command, args);
  }
  await sandbox.spawn(`containerd-${index}`, [
    "containerd",
    "--config",
    join(node.folder, "containerd.toml"),
  ]);
  await eventually("containerd to answer", 20_000, async () => {
    await importImage(sandbox, node, pauseArchive);
    return true;
  });
  const user: User = index === 1 ? "node-1" : "node-2";
  await sandbox.spawn(`kubelet-${index}`, [
    binaries.kube,
    "kubelet",
    "--config",
    join(node.folder, "kubelet.json"),
    "--kubeconfig",
    kubeconfigOf(layout, user),
    "--root-dir",
    join(node.folder, "kubelet"),
    "--node-ip",
    node.address,
    "--hostname-override",
    node.name,
  ]);
  const [command, ...args] = sandbox.enter([
    binaries.kubectl,
    "--kubeconfig",
    layout.kubeconfig,
    "wait",
    "--for=condition=Ready",
    `node/${node.name}`,
    "--timeout=5s",
  ]);
  await eventually(`${node.name} to be Ready`, 60_000, async () => {
    await execa(command, args);
    return true;
  });
}
