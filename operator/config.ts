import { readFileSync } from "node:fs";
import { isIP } from "node:net";

import { z } from "zod";

import { OperatorError } from "./errors.ts";
import type { NamespaceLimits } from "./sources/namespace-budgets.ts";

/** The operator's own configuration: environment variables, as the chart sets them. */
const list = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text) =>
      text
        .split(",")
        .map((part) => part.trim())
        .filter(Boolean),
    );

/** Azure tokens go to hosts with these suffixes only. Without the dot, evilazurecr.io would match. */
const suffixes = (fallback: string) =>
  list(fallback).refine((all) => all.every((suffix) => suffix.startsWith(".")), {
    error: "each suffix must begin with a dot, such as .azurecr.io",
  });

/** `registry.example.com=gitlab.example.com,…` */
const hostsByHost = list("").transform((entries, context) => {
  const pairs = entries.map((entry) => entry.split("="));
  const wrong = pairs.find((pair) => pair.length !== 2 || !pair.every(Boolean));
  if (wrong !== undefined) {
    context.addIssue(
      `${wrong.join("=")} must be written as registry.example.com=gitlab.example.com`,
    );
  }
  return new Map(pairs.map(([registry = "", host = ""]) => [registry, host.toLowerCase()]));
});

/** `10.0.0.0/8,fd00::/8` */
const networks = list("").refine((all) => all.every(isNetwork), {
  error: "each network must be written as 10.0.0.0/8 or fd00::/8",
});

function isNetwork(text: string): boolean {
  const [address = "", length = "", ...rest] = text.split("/");
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return rest.length === 0 && /^\d{1,3}$/.test(length) && Number(length) <= bits;
}

const port = z.coerce.number().int().min(0).max(65_535);

const limit = (fallback: number) =>
  z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(fallback);

const Environment = z.object({
  /** This image: it also pulls models, as the init container of every scoring pod. */
  OPERATOR_IMAGE: z.string().min(1),
  POD_NAME: z.string().min(1).default("aiapp-operator"),
  POD_NAMESPACE: z.string().min(1).default("default"),
  /** Empty: all namespaces. */
  WATCH_NAMESPACES: list(""),
  WATCH_FREEZES: z.stringbool().default(false),
  WATCH_SOURCE_POLICIES: z.stringbool().default(false),
  /** Write what AIApps own as this ServiceAccount of their namespace. */
  IMPERSONATE_SERVICE_ACCOUNT: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, {
      error: "must be the name of a ServiceAccount, without its namespace",
    })
    .optional(),
  LEADER_ELECTION: z.stringbool().default(true),
  LEASE_SECONDS: z.coerce.number().int().min(2).max(600).default(35),
  WORKERS: z.coerce.number().int().min(1).max(64).default(4),
  /** What the AIApps of one namespace may take: how many there are, and what their polls take in a minute. 0: no limit. */
  APPS_PER_NAMESPACE: limit(1000),
  POLLS_PER_MINUTE: limit(6000),
  BYTES_PER_MINUTE: limit(1024 ** 3),
  CPU_MS_PER_MINUTE: limit(15_000),
  LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  HEALTH_PORT: port.default(8081),
  METRICS_PORT: port.default(8080),
  /** Has tls.crt and tls.key. Metrics are then served over TLS only, to users that RBAC lets read them. */
  METRICS_TLS_FOLDER: z.string().min(1).optional(),
  AZURE_REGISTRY_SUFFIXES: suffixes(".azurecr.io,.azurecr.cn,.azurecr.us"),
  AZURE_STORAGE_SUFFIXES: suffixes(
    ".blob.core.windows.net,.blob.storage.azure.net,.blob.core.chinacloudapi.cn,.blob.core.usgovcloudapi.net",
  ),
  /** Registries whose token endpoint has another host, to which logins may therefore be sent. */
  REGISTRY_TOKEN_HOSTS: hostsByHost,
  AZURE_AUTHORITY_HOST: z.url().optional(),
  AZURE_TENANT_ID: z.string().default(""),
  /** Networks that no AIApp may name hosts in, beside loopback, link-local, metadata and reserved addresses. */
  DENIED_NETWORKS: networks,
  /** Repositories, or prefixes of them, whose images are the project's model server: its memory is known. */
  MODEL_SERVER_IMAGES: list(""),
  INSECURE_HOSTS: list(""),
  ALLOW_LOOPBACK: z.stringbool().default(false),
  CA_BUNDLE_FILE: z.string().optional(),
});

export interface Config {
  readonly operatorImage: string;
  readonly podName: string;
  readonly podNamespace: string;
  readonly watchNamespaces: readonly string[];
  /** Read AIAppReleaseFreezes and the labels of namespaces: both need rights in the whole cluster. */
  readonly watchFreezes: boolean;
  /** Read AIAppSourcePolicies and the labels of namespaces. */
  readonly watchPolicies: boolean;
  /** The ServiceAccount of each namespace as which the operator writes what AIApps own; undefined: as itself. */
  readonly impersonate: string | undefined;
  readonly leaderElection: boolean;
  readonly leaseSeconds: number;
  readonly workers: number;
  /** 0: no limit. */
  readonly maxAppsPerNamespace: number;
  readonly namespaceLimits: NamespaceLimits;
  readonly logLevel: string;
  readonly healthPort: number;
  readonly metricsPort: number;
  readonly metricsTlsFolder: string | undefined;
  readonly azureRegistrySuffixes: readonly string[];
  readonly azureStorageSuffixes: readonly string[];
  readonly registryTokenHosts: ReadonlyMap<string, string>;
  readonly azureAuthorityHost: string | undefined;
  readonly azureTenantId: string;
  readonly deniedNetworks: readonly string[];
  readonly modelServerImages: readonly string[];
  readonly insecureHosts: readonly string[];
  readonly allowLoopback: boolean;
  readonly caBundle: string | undefined;
}

/** @throws CONFIG_INVALID naming each invalid variable */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  const parsed = Environment.safeParse(environment);
  if (!parsed.success) throw new OperatorError("CONFIG_INVALID", z.prettifyError(parsed.error));
  const { data } = parsed;
  return {
    operatorImage: data.OPERATOR_IMAGE,
    podName: data.POD_NAME,
    podNamespace: data.POD_NAMESPACE,
    watchNamespaces: data.WATCH_NAMESPACES,
    watchFreezes: data.WATCH_FREEZES,
    watchPolicies: data.WATCH_SOURCE_POLICIES,
    impersonate: data.IMPERSONATE_SERVICE_ACCOUNT,
    leaderElection: data.LEADER_ELECTION,
    leaseSeconds: data.LEASE_SECONDS,
    workers: data.WORKERS,
    maxAppsPerNamespace: data.APPS_PER_NAMESPACE,
    namespaceLimits: {
      pollsPerMinute: data.POLLS_PER_MINUTE,
      bytesPerMinute: data.BYTES_PER_MINUTE,
      cpuMsPerMinute: data.CPU_MS_PER_MINUTE,
    },
    logLevel: data.LOG_LEVEL,
    healthPort: data.HEALTH_PORT,
    metricsPort: data.METRICS_PORT,
    metricsTlsFolder: data.METRICS_TLS_FOLDER,
    azureRegistrySuffixes: data.AZURE_REGISTRY_SUFFIXES,
    azureStorageSuffixes: data.AZURE_STORAGE_SUFFIXES,
    registryTokenHosts: data.REGISTRY_TOKEN_HOSTS,
    azureAuthorityHost: data.AZURE_AUTHORITY_HOST,
    azureTenantId: data.AZURE_TENANT_ID,
    deniedNetworks: data.DENIED_NETWORKS,
    modelServerImages: data.MODEL_SERVER_IMAGES,
    insecureHosts: data.INSECURE_HOSTS,
    allowLoopback: data.ALLOW_LOOPBACK,
    caBundle: data.CA_BUNDLE_FILE === undefined ? undefined : readBundle(data.CA_BUNDLE_FILE),
  };
}

function readBundle(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new OperatorError("CONFIG_INVALID", `CA_BUNDLE_FILE ${file} cannot be read`, { cause });
  }
}
