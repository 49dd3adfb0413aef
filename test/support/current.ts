import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import { execa } from "execa";

import { explain, onPath, preflight, type Lack } from "../cluster/preflight.ts";
import { FREEZE_PLURAL, GROUP, PLURAL, POLICY_PLURAL } from "../../crds/names.ts";
import { accountClient, storageAccount } from "./azurite.ts";
import {
  builtImages,
  imageTasks,
  runTasks,
  withLocal,
  type LocalOptions,
  type Prepared,
} from "./outside.ts";
import { HELM_RELEASE } from "./platform.ts";
import { ensureNamespace, hasForeignOperator, removeNamespaces, SYSTEM } from "./trial.ts";

/**
 * An existing cluster (kind, AKS): `AIAPP_CLUSTER=current`, the current context of KUBECONFIG, and AIAPP_REGISTRY for the
 * images. Models are stored in an Azurite in the cluster, which is removed afterwards.
 */
const isCurrent = process.env["AIAPP_CLUSTER"] === "current";

const CRD = `${PLURAL}.${GROUP}`;
const NAMESPACE = "aiapp-storage";
const SERVICE = `azurite.${NAMESPACE}.svc.cluster.local:10000`;
/** Microsoft's image, unless AIAPP_AZURITE_IMAGE names another. */
const AZURITE = "mcr.microsoft.com/azure-storage/azurite:3.35.0";

/** The requirements of the chosen cluster that this machine does not meet. */
export function platformLacks(): Promise<readonly Lack[]> {
  return isCurrent ? preflightCurrent() : preflight();
}

/** A message with each missing requirement and its fix. */
export function explainLacks(lacks: readonly Lack[]): string {
  if (!isCurrent) return explain(lacks);
  return [
    "AIAPP_CLUSTER=current is not possible yet. It lacks:",
    ...lacks.map(({ what, fix }) => `  - ${what}: ${fix}`),
  ].join("\n");
}

/** Prepares the chosen cluster for `work`, and removes afterwards what it created. */
export async function withPlatform<T>(
  options: LocalOptions,
  work: (prepared: Prepared) => Promise<T>,
): Promise<T> {
  if (!isCurrent) return withLocal(options, work);
  const leave: (() => void)[] = [];
  try {
    return await work(await prepareCurrent(leave, options.signal));
  } finally {
    for (const end of leave) end();
    if (options.keep !== true) await removeAll();
  }
}

async function preflightCurrent(): Promise<readonly Lack[]> {
  const lacks: Lack[] = [];
  for (const [command, fix] of [
    ["kubectl", "install it and put it on the PATH"],
    ["helm", "install it and put it on the PATH"],
    ["buildah", "apt-get install buildah: it builds the images"],
    ["skopeo", "apt-get install skopeo: it pushes the images"],
    ["debootstrap", "apt-get install debootstrap: it builds the base of the images"],
  ] as const) {
    if (!(await onPath(command))) lacks.push({ what: command, fix });
  }
  if (process.getuid?.() !== 0)
    lacks.push({ what: "root", fix: "run it as root (sudo -E): images are built here" });
  if (!process.env["AIAPP_REGISTRY"])
    lacks.push({
      what: "AIAPP_REGISTRY",
      fix: "set it to a registry that you can push to and the cluster can pull from",
    });
  const version = await execa("kubectl", ["version", "--request-timeout=10s"], { reject: false });
  if (version.exitCode !== 0)
    lacks.push({ what: "a reachable cluster", fix: "set KUBECONFIG, or choose a context" });
  else if (await hasForeignOperator(kubectl, CRD))
    lacks.push({
      what: "a cluster without an AIApp operator of its own",
      fix: `choose another cluster: the trial would replace what is in ${SYSTEM}`,
    });
  return lacks;
}

async function kubectl(args: readonly string[], input?: string): Promise<string> {
  return (await execa("kubectl", args, { ...(input !== undefined && { input }) })).stdout;
}

async function apply(...objects: readonly unknown[]): Promise<void> {
  for (const object of objects) await kubectl(["apply", "--filename", "-"], JSON.stringify(object));
}

async function startAzurite(): Promise<void> {
  const metadata = { name: "azurite", namespace: NAMESPACE };
  const labels = { app: "azurite" };
  const container = {
    name: "azurite",
    image: process.env["AIAPP_AZURITE_IMAGE"] ?? AZURITE,
    // prettier-ignore
    args: ["azurite-blob", "--blobHost", "0.0.0.0", "--blobPort", "10000", "--inMemoryPersistence", "--disableProductStyleUrl", "--skipApiVersionCheck", "--disableTelemetry"],
    env: [{ name: "AZURITE_ACCOUNTS", value: `${storageAccount.name}:${storageAccount.key}` }],
    ports: [{ containerPort: 10_000 }],
    readinessProbe: { tcpSocket: { port: 10_000 }, periodSeconds: 1 },
  };
  await ensureNamespace(kubectl, NAMESPACE);
  await apply(
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [container] } },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: { selector: labels, ports: [{ port: 10_000 }] },
    },
  );
  // prettier-ignore
  await kubectl(["rollout", "status", "deployment/azurite", "--namespace", NAMESPACE, "--timeout=180s"]);
}

/** Forwards a loopback port to the Azurite in the cluster. */
async function forwardAzurite(): Promise<{ port: number; close: () => void }> {
  const child = spawn(
    "kubectl",
    ["port-forward", "--namespace", NAMESPACE, "service/azurite", ":10000"],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const port = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`kubectl port-forward ended with ${code}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const match = /127\.0\.0\.1:(\d+)/.exec(line);
      if (match !== null) resolve(Number(match[1]));
    });
  });
  return { port, close: () => void child.kill() };
}

/** Removes what was created in the cluster. Reports what it cannot remove, and continues. */
async function removeAll(): Promise<void> {
  for (const step of [
    () => execa("helm", ["uninstall", HELM_RELEASE, "--namespace", SYSTEM, "--ignore-not-found"]),
    () => removeNamespaces(kubectl),
    () => {
      const cluster = [FREEZE_PLURAL, POLICY_PLURAL].map((plural) => `${plural}.${GROUP}`);
      return kubectl(["delete", "crd", CRD, ...cluster, "--ignore-not-found"]);
    },
  ]) {
    await step().catch((error: unknown) => {
      console.error(error instanceof Error ? error.message : error);
    });
  }
}

/** @param leave receives functions that end local processes, also if a later step fails */
async function prepareCurrent(leave: (() => void)[], signal?: AbortSignal): Promise<Prepared> {
  const registry = process.env["AIAPP_REGISTRY"] ?? "";
  const { AIAPP_REGISTRY_USERNAME: username, AIAPP_REGISTRY_PASSWORD: password } = process.env;
  const context = await runTasks([
    ...imageTasks(signal),
    { title: "Azurite in the cluster", task: startAzurite },
  ]);
  const { port, close } = await forwardAzurite();
  leave.push(close);
  await accountClient(port).getContainerClient("models").createIfNotExists();
  const container = `${storageAccount.name}/models`;
  return {
    cluster: undefined,
    given: {
      kind: "current",
      images: builtImages(context),
      registry,
      operatorImage: `${registry}/aiapp-operator`,
      ...(username !== undefined && password !== undefined && { login: { username, password } }),
      store: `http://${SERVICE}/${container}`,
      publishTo: `http://127.0.0.1:${port}/${container}`,
      insecureHosts: [
        SERVICE,
        // A registry without TLS, as kind's is.
        ...(process.env["AIAPP_REGISTRY_INSECURE"] ? [registry.replace(/\/.*$/, "")] : []),
      ],
    },
  };
}
