import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { execa } from "execa";
import { z } from "zod";

import { pushImage } from "../cluster/images.ts";
import { storageAccount } from "./azurite.ts";
import type { FaultInput, Recorded } from "./faults.ts";
import { ensureNamespace, SYSTEM } from "./trial.ts";

/**
 * The platform of demo, e2e tests and benchmarks: a Kubernetes cluster with a storage account and registries, as seen from
 * the cluster's network. `outside.ts` starts it, and passes its addresses in an environment variable.
 */

/** Configures faults and counts requests; reachable in the cluster's network only. */
export const CONTROL_URL = "http://10.244.0.13:8099";

const root = join(import.meta.dirname, "..", "..");

/** From `outside.ts`, as JSON. */
export const Given = z.object({
  /** `local`: our own cluster, with services that inject faults; `current`: an existing one. */
  kind: z.enum(["local", "current"]),
  /** Built images, as OCI layout folders. */
  images: z.object({ operator: z.string(), server: z.string(), serverNext: z.string() }),
  /** The registry for code images. */
  registry: z.string(),
  operatorImage: z.string(),
  /** A login at the registry; absent: clients are anonymous. */
  login: z.object({ username: z.string(), password: z.string() }).optional(),
  /** The container of models, as pods see it and as this process does. */
  store: z.string(),
  publishTo: z.string(),
  insecureHosts: z.array(z.string()),
  /** Folder with the ca.crt that all components trust, if public authorities are not enough. */
  authority: z.string().optional(),
});
export type Given = z.infer<typeof Given>;
export const GIVEN = "AIAPP_PLATFORM";

/** @throws when this process was not started through `outside.ts` */
export function readGiven(environment: NodeJS.ProcessEnv): Given {
  const text = environment[GIVEN];
  if (text === undefined)
    throw new Error(`${GIVEN} is not set: start this through npm test or npm run`);
  return Given.parse(JSON.parse(text));
}

export interface Platform {
  readonly given: Given;
  readonly images: Given["images"];
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>;
  readonly helm: (args: readonly string[], input?: string) => Promise<string>;
  /** Pushes a built image. @returns its digest */
  readonly push: (image: string, reference: string) => Promise<string>;
  /** Runs the project's CLI. @returns its output */
  readonly aiapp: (args: readonly string[]) => Promise<string>;
  /** Publishes a folder as a version of a model. */
  readonly publish: (folder: string, model: string, version: string) => Promise<string>;
  /** The container URL of the storage account that models live in, as pods see it. */
  readonly store: string;
  /** The registry for code images: a host name, perhaps with a path. */
  readonly registry: string;
  /** `spec.credentials` of apps here. */
  readonly credentials: Readonly<Record<string, unknown>>;
  readonly addFault: (fault: FaultInput) => Promise<void>;
  readonly clearFaults: () => Promise<void>;
  readonly requests: () => Promise<readonly Recorded[]>;
  readonly forgetRequests: () => Promise<void>;
}

/** @throws when this process was not started through `outside.ts` */
export function connectPlatform(environment: NodeJS.ProcessEnv): Platform {
  const given = readGiven(environment);
  const { login } = given;

  async function run(command: string, args: readonly string[], input?: string): Promise<string> {
    const { stdout } = await execa(command, args, {
      cwd: root,
      ...(input !== undefined && { input }),
    });
    return stdout;
  }
  async function control(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await fetch(`${CONTROL_URL}${path}`, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    });
    if (!answer.ok)
      throw new Error(`${method} ${path} of the control responded with ${answer.status}`);
    return answer.json();
  }

  async function aiapp(args: readonly string[]): Promise<string> {
    const { stdout } = await execa(process.execPath, [join(root, "cli", "main.ts"), ...args], {
      env: { AZURE_STORAGE_ACCOUNT: storageAccount.name, AZURE_STORAGE_KEY: storageAccount.key },
    });
    return stdout;
  }

  return {
    given,
    images: given.images,
    kubectl: (args, input) => run("kubectl", args, input),
    helm: (args, input) => run("helm", args, input),
    push: (image, reference) =>
      pushImage(image, reference, {
        ...(given.authority !== undefined && { authority: given.authority }),
        insecure: given.insecureHosts.some((host) => reference.startsWith(`${host}/`)),
        ...(login !== undefined &&
          reference.startsWith(given.registry) && {
            credentials: `${login.username}:${login.password}`,
          }),
      }),
    aiapp,
    publish: (folder, model, version) =>
      aiapp(["publish", folder, "--no-verify", "--to", `${given.publishTo}/${model}/${version}`]),
    store: given.store,
    registry: given.registry,
    credentials: {
      storage: "storage",
      ...(login === undefined ? { anonymous: ["Registry"] } : { registry: "registry" }),
    },
    addFault: async (fault) => void (await control("POST", "/faults", fault)),
    clearFaults: async () => void (await control("DELETE", "/faults")),
    requests: async () => (await control("GET", "/requests")) as readonly Recorded[],
    forgetRequests: async () => void (await control("DELETE", "/requests")),
  };
}

export const HELM_RELEASE = "aiapp-operator";

export interface InstallOptions {
  readonly tenants: readonly string[];
  readonly replicas?: number;
  readonly leaseSeconds?: number;
  readonly logLevel?: string;
}

/** Installs or upgrades the chart, and waits until the operator is ready. */
export async function installOperator(
  platform: Platform,
  { tenants, replicas = 2, leaseSeconds = 6, logLevel = "info" }: InstallOptions,
): Promise<void> {
  const { operatorImage, authority, insecureHosts } = platform.given;
  const digest = await platform.push(platform.images.operator, `${operatorImage}:0.1.0`);
  const values = {
    image: { repository: operatorImage, digest },
    replicas,
    leaseSeconds,
    logLevel,
    tenantNamespaces: tenants,
    azure: { registrySuffixes: [".azurecr.test"], storageSuffixes: [".blob.azure.test"] },
    insecureHosts,
    ...(authority !== undefined && {
      caBundle: await readFile(join(authority, "ca.crt"), "utf8"),
    }),
  };
  await ensureNamespace(platform.kubectl, SYSTEM);
  await platform.helm(
    [
      "upgrade",
      "--install",
      HELM_RELEASE,
      join(root, "charts", "aiapp-operator"),
      "--namespace",
      SYSTEM,
      "--wait",
      "--timeout",
      "3m",
      "--values",
      "-",
    ],
    JSON.stringify(values),
  );
}

/** Creates a namespace with the Secrets that its apps name: `storage` and `registry`. */
export async function createTenant(platform: Platform, namespace: string): Promise<void> {
  const { login, registry } = platform.given;
  const host = registry.replace(/\/.*$/, "");
  await ensureNamespace(platform.kubectl, namespace);
  const objects: unknown[] = [
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "storage", namespace },
      stringData: {
        accountName: storageAccount.name,
        accountKey: storageAccount.key,
        endpoint: new URL(platform.given.store).host,
      },
    },
  ];
  if (login !== undefined)
    objects.push({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "registry", namespace },
      type: "kubernetes.io/dockerconfigjson",
      stringData: { ".dockerconfigjson": JSON.stringify({ auths: { [host]: login } }) },
    });
  for (const object of objects)
    await platform.kubectl(["apply", "--filename", "-"], JSON.stringify(object));
}
