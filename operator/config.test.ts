import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { readConfig } from "./config.ts";

const OPERATOR_IMAGE = "example.azurecr.io/operator:1";

function refusal(environment: NodeJS.ProcessEnv): string {
  try {
    readConfig({ OPERATOR_IMAGE, ...environment });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "CONFIG_INVALID")
      return error.message;
    throw error;
  }
  throw new Error("was taken");
}

describe("the configuration", () => {
  it("needs no more than the operator's own image", () => {
    expect(readConfig({ OPERATOR_IMAGE })).toEqual({
      operatorImage: OPERATOR_IMAGE,
      podName: "aiapp-operator",
      podNamespace: "default",
      watchNamespaces: [],
      watchFreezes: false,
      watchPolicies: false,
      impersonate: undefined,
      leaderElection: true,
      leaseSeconds: 35,
      workers: 4,
      maxAppsPerNamespace: 1000,
      namespaceLimits: {
        pollsPerMinute: 6000,
        bytesPerMinute: 2 ** 30,
        cpuMsPerMinute: 15_000,
      },
      logLevel: "info",
      healthPort: 8081,
      metricsPort: 8080,
      metricsTlsFolder: undefined,
      azureRegistrySuffixes: [".azurecr.io", ".azurecr.cn", ".azurecr.us"],
      azureStorageSuffixes: [
        ".blob.core.windows.net",
        ".blob.storage.azure.net",
        ".blob.core.chinacloudapi.cn",
        ".blob.core.usgovcloudapi.net",
      ],
      registryTokenHosts: new Map(),
      azureAuthorityHost: undefined,
      azureTenantId: "",
      deniedNetworks: [],
      modelServerImages: [],
      insecureHosts: [],
      allowLoopback: false,
      caBundle: undefined,
    });
  });

  it("reads lists by commas, blanks and empty parts left out", () => {
    const WATCH_NAMESPACES = " shop, ,zoo,";
    expect(readConfig({ OPERATOR_IMAGE, WATCH_NAMESPACES }).watchNamespaces).toEqual([
      "shop",
      "zoo",
    ]);
  });

  it("reads hosts of token endpoints by registry", () => {
    const REGISTRY_TOKEN_HOSTS =
      "registry.example.com=gitlab.example.com, r.example:5000=A.example";
    expect(readConfig({ OPERATOR_IMAGE, REGISTRY_TOKEN_HOSTS }).registryTokenHosts).toEqual(
      new Map([
        ["registry.example.com", "gitlab.example.com"],
        ["r.example:5000", "a.example"],
      ]),
    );
  });

  it("reads numbers and booleans as the chart writes them", () => {
    const environment = { LEADER_ELECTION: "false", WORKERS: "16", METRICS_PORT: "0" };
    expect(readConfig({ OPERATOR_IMAGE, ...environment })).toMatchObject({
      leaderElection: false,
      workers: 16,
      metricsPort: 0,
    });
  });

  it.each([
    ["OPERATOR_IMAGE", undefined],
    ["OPERATOR_IMAGE", ""],
    ["LEADER_ELECTION", "perhaps"],
    ["LEASE_SECONDS", "1"],
    ["WORKERS", "0"],
    ["WORKERS", "two"],
    ["WORKERS", "1.5"],
    ["LOG_LEVEL", "loud"],
    ["HEALTH_PORT", "65536"],
    ["AZURE_AUTHORITY_HOST", "login.microsoftonline.com"],
    ["REGISTRY_TOKEN_HOSTS", "registry.example.com"],
    ["REGISTRY_TOKEN_HOSTS", "registry.example.com="],
    ["REGISTRY_TOKEN_HOSTS", "a=b=c"],
    ["AZURE_REGISTRY_SUFFIXES", ".azurecr.io,azurecr.example"],
    ["AZURE_STORAGE_SUFFIXES", "blob.example"],
  ])("names %s when it is %j", (name, value) => {
    expect(refusal({ [name]: value })).toContain(name);
  });

  it("names everything that is wrong at once", () => {
    const message = refusal({ WORKERS: "0", LOG_LEVEL: "loud" });
    expect(message).toContain("WORKERS");
    expect(message).toContain("LOG_LEVEL");
  });

  it("holds the certificates of the file that is named, or says that it cannot be read", async () => {
    const folder = await mkdtemp(join(tmpdir(), "aiapp-config-"));
    try {
      const CA_BUNDLE_FILE = join(folder, "ca.crt");
      expect(refusal({ CA_BUNDLE_FILE })).toBe(`CA_BUNDLE_FILE ${CA_BUNDLE_FILE} cannot be read`);
      await writeFile(CA_BUNDLE_FILE, "-----BEGIN CERTIFICATE-----");
      expect(readConfig({ OPERATOR_IMAGE, CA_BUNDLE_FILE }).caBundle).toBe(
        "-----BEGIN CERTIFICATE-----",
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
