import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { execa } from "execa";

import { hosts, NODE_ADDRESS, SERVICE_CIDR, type Layout } from "./layout.ts";
import {
  childrenOf,
  eventually,
  isAlive,
  recorded,
  spawnDetached,
  terminate,
  type Spawned,
} from "./process.ts";

/**
 * The sandbox: one process that holds a network, a mount and a process namespace. Everything of the cluster runs in
 * them. When that process ends the kernel ends every other, and unmounts, unlinks and forgets the rest: taking down is
 * one signal, also after a crash. The network has no uplink and its own /etc/hosts.
 */
const HOLDER = "sandbox";

/** Runs as the first process inside; `$1` is the program that holds on and reaps orphans. */
const SETUP = `set -eu
mount --make-rshared /
mount --bind "$HOSTS_FILE" /etc/hosts
mount --bind "$RESOLV_FILE" "$(readlink -f /etc/resolv.conf)"
# The host's network namespaces are none of ours, and ours none of the host's.
mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && mount --make-rshared /run/netns
ip link set lo up
# Without a MAC address of its own a bridge takes that of a pod, and changes it when that pod ends: pods then lose the gateway.
ip link add cni0 address 02:61:69:61:70:70 type bridge
ip addr add ${NODE_ADDRESS}/16 dev cni0
for address in ${Object.values(hosts).join(" ")}; do ip addr add $address/16 dev cni0; done
ip link set cni0 up
ip route add ${SERVICE_CIDR} dev cni0
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null || true
exec "$1"
`;

export interface Sandbox {
  /** The command line that runs `command` inside. */
  readonly enter: (command: readonly [string, ...string[]]) => [string, ...string[]];
  readonly spawn: (
    name: string,
    command: readonly [string, ...string[]],
    environment?: Readonly<Record<string, string>>,
  ) => Promise<Spawned>;
}

async function holderPid(layout: Layout): Promise<number | undefined> {
  const holder = (await recorded(layout.processes)).find(({ name }) => name === HOLDER);
  if (holder === undefined || !(await isAlive(holder))) return undefined;
  return (await childrenOf(holder.pid))[0];
}

function sandboxOf(layout: Layout, pid: number): Sandbox {
  function enter(command: readonly [string, ...string[]]): [string, ...string[]] {
    return ["nsenter", `--target=${pid}`, "--net", "--mount", "--pid", "--wd=/", "--", ...command];
  }
  return {
    enter,
    spawn: (name, command, environment) => spawnDetached(layout, name, enter(command), environment),
  };
}

/** The running sandbox, if there is one. */
export async function findSandbox(layout: Layout): Promise<Sandbox | undefined> {
  const pid = await holderPid(layout);
  return pid === undefined ? undefined : sandboxOf(layout, pid);
}

/** @param holder a program that reaps orphans and waits for SIGTERM: the pods' pause binary does. */
export async function createSandbox(layout: Layout, holder: string): Promise<Sandbox> {
  await mkdir(layout.folder, { recursive: true });
  const hostsFile = join(layout.folder, "hosts");
  const resolvFile = join(layout.folder, "resolv.conf");
  await writeFile(
    hostsFile,
    ["127.0.0.1 localhost", ...Object.entries(hosts).map(([name, ip]) => `${ip} ${name}`), ""].join(
      "\n",
    ),
  );
  await writeFile(
    resolvFile,
    `nameserver ${NODE_ADDRESS}\nsearch default.svc.cluster.local svc.cluster.local cluster.local\n`,
  );
  const script = join(layout.folder, "sandbox.sh");
  await writeFile(script, SETUP);
  await spawnDetached(
    layout,
    HOLDER,
    // prettier-ignore
    ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private",
      "sh", script, holder],
    { HOSTS_FILE: hostsFile, RESOLV_FILE: resolvFile },
  );
  const pid = await eventually("the sandbox's namespaces", 10_000, async () => {
    const pid = await holderPid(layout);
    if (pid === undefined) {
      throw new Error(await readFile(join(layout.logs, `${HOLDER}.log`), "utf8"));
    }
    // The set-up is over once the shell has become the holder.
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8");
    return command.startsWith(holder) ? pid : undefined;
  });
  return sandboxOf(layout, pid);
}

/** Kills every process inside. */
export async function destroySandbox(layout: Layout): Promise<void> {
  const holder = (await recorded(layout.processes)).find(({ name }) => name === HOLDER);
  if (holder === undefined) return;
  const inside = await childrenOf(holder.pid);
  await terminate(holder, { signal: "SIGTERM", graceMs: 5000 });
  for (const pid of inside) {
    await eventually("the last process of the sandbox to end", 20_000, async () => {
      const { exitCode } = await execa("kill", ["-0", String(pid)], { reject: false });
      return exitCode !== 0;
    });
  }
}
