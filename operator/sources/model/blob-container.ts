import type { TokenCredential } from "@azure/core-auth";
import {
  AnonymousCredential,
  ContainerClient,
  newPipeline,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import { LRUCache } from "lru-cache";

import { OperatorError } from "../../errors.ts";
import { guardedHttpClient } from "../azure-http.ts";
import type { Agents, HostPolicy } from "../hosts.ts";
import { identityKey, type Identity } from "../identity.ts";
import type { TokenCredentials } from "../workload-identity.ts";
import { parseStore } from "./store-url.ts";

/** Clients of Azure Blob Storage, by container and identity. */

export interface BlobOptions {
  /** Suffixes of Azure Blob Storage's hosts: Azure tokens go only there. */
  readonly azureSuffixes: readonly string[];
  readonly policy: HostPolicy;
  readonly agents: Agents;
  readonly credentials: TokenCredentials;
}

/** Opens a container with an identity. @throws CREDENTIALS_MISSING, SECRET_INVALID, HOST_NOT_ALLOWED */
export type OpenContainer = (store: string, identity: Identity) => ContainerClient;

const MAX_CLIENTS = 500;
/** Of a listing's page, or of an error: a page has 200 entries, whose names are 1,024 characters at most. */
const MAX_BODY_BYTES = 1024 * 1024;
/** The one resource that the operator requests tokens for, whatever a store's challenge names. */
const TOKEN_SCOPE = "https://storage.azure.com/.default";

export function createContainers(options: BlobOptions): OpenContainer {
  const httpClient = guardedHttpClient(options.agents, MAX_BODY_BYTES);
  const clients = new LRUCache<string, ContainerClient>({ max: MAX_CLIENTS });

  function open(store: string, identity: Identity): ContainerClient {
    const { host, protocol } = parseStore(store);
    if (protocol !== "https:" && !options.policy.insecureHosts.has(host)) {
      throw new OperatorError(
        "HOST_NOT_ALLOWED",
        `${host} would be read over plain http: use https, or list it in the operator's insecureHosts`,
      );
    }
    const [url, credential] = credentialFor(store, identity, options);
    const pipeline = newPipeline(credential, {
      retryOptions: { maxTries: 1 },
      keepAliveOptions: { enable: true },
    });
    // The option `httpClient` accepts clients of an older core only; the SDK keeps the present one here. Should it
    // move, a contract test fails: loopback would no longer be refused.
    Reflect.set(pipeline, "_coreHttpClient", httpClient);
    return new ContainerClient(url, pipeline);
  }

  return (store, identity) => {
    const key = `${store} ${identityKey(identity)}`;
    const cached = clients.get(key);
    if (cached !== undefined) return cached;
    const client = open(store, identity);
    clients.set(key, client);
    return client;
  };
}

type Credential = StorageSharedKeyCredential | AnonymousCredential | TokenCredential;

/** The URL to open a container by, which may hold a SAS token, and the credential to sign requests with. */
function credentialFor(
  store: string,
  identity: Identity,
  { azureSuffixes, credentials }: BlobOptions,
): readonly [url: string, credential: Credential] {
  switch (identity.kind) {
    case "anonymous":
      return [store, new AnonymousCredential()];
    case "accountKey":
      checkHost(store, identity, azureSuffixes);
      return [store, new StorageSharedKeyCredential(identity.accountName, identity.accountKey)];
    case "sas":
      checkHost(store, identity, azureSuffixes);
      return [`${store}?${identity.sasToken}`, new AnonymousCredential()];
    case "workload": {
      const { host, hostname } = new URL(store);
      if (!azureSuffixes.some((suffix) => hostname.endsWith(suffix))) {
        throw new OperatorError(
          "CREDENTIALS_MISSING",
          `${host} is not one of Azure's hosts (${azureSuffixes.join(", ")}), so no Azure token goes there: name a Secret in spec.credentials.storage`,
        );
      }
      return [store, pinned(credentials.of(identity))];
    }
    case "basic":
      throw new OperatorError(
        "SECRET_INVALID",
        "a registry login does not open a store: name a Secret with accountName and accountKey, or with sasToken, in spec.credentials.storage",
      );
  }
}

/**
 * A key or a SAS token goes to the hosts of Azure that it is for, or to the one that the Secret itself names: who may
 * write an AIApp need not be one who may see the Secret.
 *
 * @throws HOST_NOT_ALLOWED
 */
function checkHost(
  store: string,
  identity: Extract<Identity, { kind: "accountKey" | "sas" }>,
  azureSuffixes: readonly string[],
): void {
  const { host, hostname } = new URL(store);
  if (identity.endpoint === host) return;
  const isAzure = azureSuffixes.some((suffix) => {
    if (!hostname.endsWith(suffix) || host !== hostname) return false;
    const account = hostname.slice(0, -suffix.length).replace(/-secondary$/, "");
    return identity.kind === "sas" ? isAccount(account) : account === identity.accountName;
  });
  if (isAzure) return;
  const [what, account] =
    identity.kind === "sas"
      ? ["the SAS token", "an account"]
      : ["the account key", JSON.stringify(identity.accountName)];
  throw new OperatorError(
    "HOST_NOT_ALLOWED",
    `${what} in the Secret is not sent to ${host}, which is not the host of ${account} in Azure: correct spec.model.store, or name the host in the Secret's key endpoint`,
  );
}

function isAccount(text: string): boolean {
  return /^[a-z0-9]{3,24}$/.test(text);
}

/** The SDK requests a token for the resource and the tenant that a 401 names: this requests the same one for any. */
function pinned(credential: TokenCredential): TokenCredential {
  return {
    getToken: (_, { tenantId: _tenant, ...options } = {}) =>
      credential.getToken(TOKEN_SCOPE, options),
  };
}
