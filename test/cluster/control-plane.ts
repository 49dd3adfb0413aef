import { mkdir, readFile, writeFile } from "node:fs/promises";
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";

import { execa } from "execa";

import { createAuthority, issueCertificate } from "../support/tls.ts";
import type { Binaries } from "./binaries.ts";
import { API_SERVER, hosts, NODE_ADDRESS, POD_CIDR, SERVICE_CIDR, type Layout } from "./layout.ts";
import { eventually } from "./process.ts";
import type { Sandbox } from "./sandbox.ts";

/** Static tokens: the cluster is not reachable from outside this machine. */
const users = {
  admin: { token: "admin-token", user: "admin", groups: "system:masters" },
  "controller-manager": { token: "kcm-token", user: "system:kube-controller-manager", groups: "" },
  scheduler: { token: "scheduler-token", user: "system:kube-scheduler", groups: "" },
  proxy: { token: "proxy-token", user: "system:kube-proxy", groups: "" },
  "node-1": { token: "node-1-token", user: "system:node:node-1", groups: "system:nodes" },
  "node-2": { token: "node-2-token", user: "system:node:node-2", groups: "system:nodes" },
} as const;
export type User = keyof typeof users;

export function kubeconfigOf(layout: Layout, user: User): string {
  return user === "admin" ? layout.kubeconfig : join(layout.folder, `kubeconfig-${user}`);
}

/** @param server how the reader reaches the API server */
export async function writeKubeconfig(
  file: string,
  authority: string,
  server: string,
  user: User,
): Promise<void> {
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "aiapp",
        cluster: {
          server,
          "certificate-authority-data": Buffer.from(authority).toString("base64"),
        },
      },
    ],
    users: [{ name: user, user: { token: users[user].token } }],
    contexts: [{ name: "aiapp", context: { cluster: "aiapp", user } }],
    "current-context": "aiapp",
  };
  await writeFile(file, JSON.stringify(config, null, 2), { mode: 0o600 });
}

async function writeKeys(layout: Layout): Promise<void> {
  const authority = await createAuthority(layout.authority);
  const serving = await issueCertificate(authority, {
    hosts: [
      "kubernetes",
      "kubernetes.default",
      "kubernetes.default.svc",
      "kubernetes.default.svc.cluster.local",
      "localhost",
      "127.0.0.1",
      NODE_ADDRESS,
      SERVICE_CIDR.replace(/0\/\d+$/, "1"),
      ...Object.keys(hosts),
    ],
  });
  // For logs, exec and port-forward the API server sends requests to the kubelet, as an administrator.
  const kubeletClient = await issueCertificate(authority, {
    hosts: ["kube-apiserver"],
    subject: "CN=kube-apiserver,O=system:masters",
  });
  const accounts = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const file = (name: string): string => join(layout.folder, name);
  await Promise.all([
    writeFile(file("apiserver.crt"), serving.cert),
    writeFile(file("apiserver.key"), serving.key, { mode: 0o600 }),
    writeFile(file("kubelet-client.crt"), kubeletClient.cert),
    writeFile(file("kubelet-client.key"), kubeletClient.key, { mode: 0o600 }),
    writeFile(file("accounts.pub"), accounts.publicKey.export({ type: "spki", format: "pem" })),
    writeFile(file("accounts.key"), accounts.privateKey.export({ type: "pkcs8", format: "pem" }), {
      mode: 0o600,
    }),
    writeFile(
      file("tokens.csv"),
      Object.values(users)
        .map(({ token, user, groups }) => `${token},${user},${user},"${groups}"\n`)
        .join(""),
      { mode: 0o600 },
    ),
    ...Object.keys(users).map((user) =>
      writeKubeconfig(
        kubeconfigOf(layout, user as User),
        authority.certificate,
        API_SERVER,
        user as User,
      ),
    ),
  ]);
}

function etcd(layout: Layout, { kube }: Binaries): [string, ...string[]] {
  return [
    kube,
    "etcd",
    "--data-dir",
    join(layout.folder, "etcd"),
    // The data of a test cluster need not survive a crash of the machine.
    "--unsafe-no-fsync",
    "--listen-client-urls",
    "http://127.0.0.1:2379",
    "--advertise-client-urls",
    "http://127.0.0.1:2379",
    "--listen-peer-urls",
    "http://127.0.0.1:2380",
  ];
}

function apiServer(layout: Layout, { kube }: Binaries): [string, ...string[]] {
  const file = (name: string): string => join(layout.folder, name);
  return [
    kube,
    "kube-apiserver",
    "--etcd-servers",
    "http://127.0.0.1:2379",
    "--bind-address",
    "0.0.0.0",
    "--advertise-address",
    NODE_ADDRESS,
    "--secure-port",
    "6443",
    "--service-cluster-ip-range",
    SERVICE_CIDR,
    "--tls-cert-file",
    file("apiserver.crt"),
    "--tls-private-key-file",
    file("apiserver.key"),
    "--cert-dir",
    file("apiserver-certs"),
    "--token-auth-file",
    file("tokens.csv"),
    "--authorization-mode",
    "Node,RBAC",
    "--service-account-key-file",
    file("accounts.pub"),
    "--service-account-signing-key-file",
    file("accounts.key"),
    "--service-account-issuer",
    "https://kubernetes.default.svc",
    "--allow-privileged",
    "--kubelet-preferred-address-types",
    "InternalIP",
    "--kubelet-client-certificate",
    file("kubelet-client.crt"),
    "--kubelet-client-key",
    file("kubelet-client.key"),
  ];
}

/** Starts the API server, and restarts it when it exits, as a kubelet does on real control planes: tests kill it. */
async function startApiServer(layout: Layout, sandbox: Sandbox, binaries: Binaries): Promise<void> {
  const forever = 'while :; do "$@"; sleep 0.2; done';
  await sandbox.spawn("kube-apiserver", [
    "sh",
    "-c",
    forever,
    "sh",
    ...apiServer(layout, binaries),
  ]);
  const [command, ...args] = sandbox.enter([
    binaries.kubectl,
    "--kubeconfig",
    layout.kubeconfig,
    "--request-timeout=2s",
    "get",
    "--raw",
    "/readyz",
  ]);
  await eventually("the API server to be ready", 60_000, async () => {
    const { stdout } = await execa(command, args);
    return stdout === "ok";
  });
}

export async function startControlPlane(
  layout: Layout,
  sandbox: Sandbox,
  binaries: Binaries,
): Promise<void> {
  await mkdir(layout.folder, { recursive: true });
  await writeKeys(layout);
  await sandbox.spawn("etcd", etcd(layout, binaries));
  await startApiServer(layout, sandbox, binaries);
  const authority = join(layout.authority, "ca.crt");
  await readFile(authority);
  await sandbox.spawn("kube-controller-manager", [
    binaries.kube,
    "kube-controller-manager",
    "--kubeconfig",
    kubeconfigOf(layout, "controller-manager"),
    "--service-account-private-key-file",
    join(layout.folder, "accounts.key"),
    "--root-ca-file",
    authority,
    "--use-service-account-credentials",
    "--leader-elect=false",
    "--bind-address",
    "127.0.0.1",
  ]);
  await sandbox.spawn("kube-scheduler", [
    binaries.kube,
    "kube-scheduler",
    "--kubeconfig",
    kubeconfigOf(layout, "scheduler"),
    "--leader-elect=false",
    "--bind-address",
    "127.0.0.1",
  ]);
  await sandbox.spawn("kube-proxy", [
    binaries.kube,
    "kube-proxy",
    "--kubeconfig",
    kubeconfigOf(layout, "proxy"),
    "--cluster-cidr",
    POD_CIDR,
    "--conntrack-max-per-core",
    "0",
    "--hostname-override",
    "node-1",
  ]);
}
