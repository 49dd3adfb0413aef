import { homedir } from "node:os";
import { join } from "node:path";

/** Addresses and names inside the cluster's network, and folders outside. */

/** The node's address, and the gateway of every pod. */
export const NODE_ADDRESS = "10.244.0.1";
export const POD_CIDR = "10.244.0.0/16";
export const SERVICE_CIDR = "10.96.0.0/16";
export const LOAD_BALANCER_POOL = "10.244.255.1-10.244.255.50";
export const API_SERVER = `https://${NODE_ADDRESS}:6443`;

/** Names of the services beside the cluster. Public DNS does not resolve `.test` (RFC 6761). */
export const hosts = {
  "contoso.azurecr.test": "10.244.0.11",
  "contoso.blob.azure.test": "10.244.0.12",
  "registry.aiapp.test": "10.244.0.13",
} as const satisfies Readonly<Record<string, string>>;

export interface NodeLayout {
  readonly name: string;
  readonly index: number;
  readonly address: string;
  readonly folder: string;
  readonly socket: string;
}

export interface Layout {
  /** Distinguishes several clusters on one machine. */
  readonly name: string;
  readonly folder: string;
  readonly logs: string;
  readonly processes: string;
  readonly kubeconfig: string;
  readonly relayKubeconfig: string;
  /** Folder with ca.crt and ca.key of the authority that the cluster trusts. */
  readonly authority: string;
  readonly node: (index: number) => NodeLayout;
}

/** State of a running cluster. Unix sockets live in it, so the path is short. */
export function clusterLayout(name: string): Layout {
  const folder = join("/var/lib/aiapp-cluster", name);
  return {
    name,
    folder,
    logs: join(folder, "logs"),
    processes: join(folder, "processes"),
    kubeconfig: join(folder, "kubeconfig"),
    relayKubeconfig: join(folder, "kubeconfig-loopback"),
    authority: join(folder, "authority"),
    node: (index) => ({
      name: `node-${index}`,
      index,
      address: index === 1 ? NODE_ADDRESS : `10.244.0.${index}`,
      folder: join(folder, `node-${index}`),
      socket: join(folder, `node-${index}`, "containerd.sock"),
    }),
  };
}

/** Built binaries and images, keyed by a hash of their inputs; `down` keeps them. */
export function cacheFolder(environment: NodeJS.ProcessEnv): string {
  return (
    environment["AIAPP_CACHE"] ??
    join(environment["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "aiapp")
  );
}
