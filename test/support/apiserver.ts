import { spawn, type ChildProcess } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createWriteStream, existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { execa } from "execa";

import { ensureBinaries } from "../cluster/binaries.ts";
import { eventually } from "../cluster/process.ts";
import { end } from "./process.ts";
import { createAuthority, issueCertificate } from "./tls.ts";

/** A real API server with its etcd, on loopback: no nodes, no controllers. Takes about five seconds to start. */
export interface ApiServer {
  /** Path of a kubeconfig with all rights. */
  readonly kubeconfig: string;
  readonly url: string;
  readonly port: number;
  /** Writes a kubeconfig for a user of a token file (`admin` or one of `users`), by way of another port if given. */
  readonly kubeconfigFor: (options: {
    readonly user?: string;
    readonly port?: number;
  }) => Promise<string>;
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>;
  /** Ends the API server only; etcd and so all objects stay. */
  readonly pause: (signal?: NodeJS.Signals) => Promise<void>;
  readonly resume: () => Promise<void>;
  /** Ends everything and removes its folder. */
  readonly close: () => Promise<void>;
}

const HOST = "127.0.0.1";

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, HOST));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

/** Starts a child that ends with us, even when we are killed. */
async function start(log: string, command: string, args: readonly string[]): Promise<ChildProcess> {
  const guard = "/usr/bin/setpriv";
  const [program, all] = existsSync(guard)
    ? [guard, ["--pdeathsig", "KILL", "--", command, ...args]]
    : [command, args];
  const child = spawn(program, all, { stdio: ["ignore", "pipe", "pipe"] });
  const output = createWriteStream(log, { flags: "a" });
  child.stdout.pipe(output, { end: false });
  child.stderr.pipe(output, { end: false });
  child.once("exit", () => output.end());
  await once(child, "spawn");
  return child;
}

/** An API server finishes its requests first. */
const INSIST_AFTER_MS = 8000;

/** @param users further users without any rights, by name: RBAC gives them some */
export async function startApiServer(
  options: { readonly users?: readonly string[]; readonly flags?: readonly string[] } = {},
): Promise<ApiServer> {
  const kube = process.env["KUBE_BINARY"] ?? (await ensureBinaries()).kube;
  const folder = await mkdtemp(join(tmpdir(), "aiapp-apiserver-"));
  const file = (name: string): string => join(folder, name);
  const [etcdPort, peerPort, port] = (await freePorts(3)) as [number, number, number];
  const url = `https://${HOST}:${port}`;
  const users = ["admin", ...(options.users ?? [])];
  let etcd: ChildProcess | undefined;
  let apiServer: ChildProcess | undefined;

  const authority = await createAuthority(folder);
  const serving = await issueCertificate(authority, { hosts: ["localhost", HOST] });
  const accounts = generateKeyPairSync("rsa", { modulusLength: 2048 });
  await Promise.all([
    writeFile(file("tls.crt"), serving.cert),
    writeFile(file("tls.key"), serving.key),
    writeFile(file("accounts.pub"), accounts.publicKey.export({ type: "spki", format: "pem" })),
    writeFile(file("accounts.key"), accounts.privateKey.export({ type: "pkcs8", format: "pem" })),
    writeFile(
      file("tokens.csv"),
      users
        .map(
          (user) => `${user}-token,${user},${user},"${user === "admin" ? "system:masters" : ""}"\n`,
        )
        .join(""),
    ),
  ]);

  async function kubeconfigFor({
    user = "admin",
    port: via = port,
  }: {
    readonly user?: string;
    readonly port?: number;
  }): Promise<string> {
    const path = file(`kubeconfig-${user}-${via}`);
    const ca = Buffer.from(authority.certificate).toString("base64");
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        {
          name: "c",
          cluster: { server: `https://${HOST}:${via}`, "certificate-authority-data": ca },
        },
      ],
      users: [{ name: user, user: { token: `${user}-token` } }],
      contexts: [{ name: "c", context: { cluster: "c", user } }],
      "current-context": "c",
    };
    await writeFile(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  }

  const kubeconfig = await kubeconfigFor({});

  async function kubectl(args: readonly string[], input?: string): Promise<string> {
    const { stdout } = await execa(
      kube,
      ["kubectl", "--kubeconfig", kubeconfig, "--cache-dir", file("discovery"), ...args],
      { ...(input !== undefined && { input }) },
    );
    return stdout;
  }

  async function resume(): Promise<void> {
    apiServer = await start(file("apiserver.log"), kube, [
      "kube-apiserver",
      `--etcd-servers=http://${HOST}:${etcdPort}`,
      `--bind-address=${HOST}`,
      `--advertise-address=${HOST}`,
      `--secure-port=${port}`,
      // No Service of the API server's own: an endpoint must not be a loopback address.
      "--endpoint-reconciler-type=none",
      "--service-cluster-ip-range=10.0.0.0/24",
      `--tls-cert-file=${file("tls.crt")}`,
      `--tls-private-key-file=${file("tls.key")}`,
      `--cert-dir=${folder}`,
      `--token-auth-file=${file("tokens.csv")}`,
      "--authorization-mode=RBAC",
      "--allow-privileged",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${file("accounts.pub")}`,
      `--service-account-signing-key-file=${file("accounts.key")}`,
      // No controller makes ServiceAccounts here, and pods should be accepted all the same.
      "--disable-admission-plugins=ServiceAccount",
      ...(options.flags ?? []),
    ]);
    const child = apiServer;
    await eventually(`the API server (${file("apiserver.log")})`, 60_000, async () => {
      if (child.exitCode !== null) return true;
      return (await kubectl(["--request-timeout=2s", "get", "--raw", "/readyz"])) === "ok";
    });
    if (child.exitCode !== null) {
      const log = await readFile(file("apiserver.log"), "utf8");
      throw new Error(`the API server ended at once: ${log.slice(-2000)}`);
    }
  }

  async function close(): Promise<void> {
    await end(apiServer, "SIGTERM", INSIST_AFTER_MS);
    await end(etcd, "SIGKILL");
    await rm(folder, { recursive: true, force: true });
  }

  try {
    etcd = await start(file("etcd.log"), kube, [
      "etcd",
      `--data-dir=${file("etcd")}`,
      "--unsafe-no-fsync",
      `--listen-client-urls=http://${HOST}:${etcdPort}`,
      `--advertise-client-urls=http://${HOST}:${etcdPort}`,
      `--listen-peer-urls=http://${HOST}:${peerPort}`,
    ]);
    await resume();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    kubeconfig,
    url,
    port,
    kubeconfigFor,
    kubectl,
    pause: (signal) => end(apiServer, signal, INSIST_AFTER_MS),
    resume,
    close,
  };
}
