import { AsyncLocalStorage } from "node:async_hooks";

import { ContainerRegistryClient, KnownContainerRegistryAudience } from "@azure/container-registry";
import type { TokenCredential } from "@azure/core-auth";
import type { PipelineRequest, PipelineResponse } from "@azure/core-rest-pipeline";
import { LRUCache } from "lru-cache";

import type { ImageReference } from "../../../crds/grammar/image-reference.ts";
import { OperatorError } from "../../errors.ts";
import { guardedHttpClient } from "../azure-http.ts";
import { identityKey, type Identity } from "../identity.ts";
import type { Purpose } from "./distribution-api.ts";
import type { RegistryOptions } from "./image-registry.ts";
import { MAX_BODY_BYTES } from "./response.ts";

/** Clients of Azure's SDK, with bounded bodies, checked addresses, and token requests that end with the signal. */

export interface AcrClients {
  readonly get: (
    purpose: Purpose | "metadata",
    repository: ImageReference,
    identity: Identity,
  ) => ContainerRegistryClient;
  /** Runs `work` so that requests of the SDK's own, such as for tokens, end with the signal. */
  readonly withSignal: <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T>;
}

const MAX_CLIENTS = 2000;

export function createAcrClients({
  agents,
  credentials,
}: Pick<RegistryOptions, "agents" | "credentials">): AcrClients {
  /** The SDK does not pass the signal of a request on to the request for its token. */
  const signals = new AsyncLocalStorage<AbortSignal>();
  const httpClient = guardedHttpClient(agents, MAX_BODY_BYTES, () => signals.getStore());
  /** One per purpose, repository and identity: a client holds one access token, and changing its scope costs two requests. */
  const clients = new LRUCache<string, ContainerRegistryClient>({ max: MAX_CLIENTS });

  function create(registry: string, identity: Identity): ContainerRegistryClient {
    const options = {
      httpClient,
      audience: audienceOf(registry),
      retryOptions: { maxRetries: 0 },
    };
    const endpoint = `https://${registry}`;
    // Only the constructor without a credential reads anonymously.
    if (identity.kind === "anonymous") return new ContainerRegistryClient(endpoint, options);
    if (identity.kind === "workload") {
      const credential = withAbortSignal(credentials.of(identity), signals);
      return new ContainerRegistryClient(endpoint, credential, options);
    }
    throw new OperatorError(
      "CREDENTIALS_MISSING",
      `${registry} needs an Azure identity or a registry login: name the login in spec.credentials.registry`,
    );
  }

  return {
    get: (purpose, { registry, repository }, identity) => {
      const key = `${purpose} ${registry}/${repository} ${identityKey(identity)}`;
      const cached = clients.get(key);
      if (cached !== undefined) return cached;
      const client = create(registry, identity);
      clients.set(key, client);
      return client;
    },
    withSignal: (signal, work) => signals.run(signal, work),
  };
}

function withAbortSignal(
  credential: TokenCredential,
  signals: AsyncLocalStorage<AbortSignal>,
): TokenCredential {
  return {
    getToken: (scopes, options) => {
      const abortSignal = signals.getStore();
      return credential.getToken(scopes, { ...options, ...(abortSignal && { abortSignal }) });
    },
  };
}

/** Registries of sovereign clouds accept tokens for another audience. */
function audienceOf(registry: string): KnownContainerRegistryAudience {
  if (registry.endsWith(".azurecr.cn"))
    return KnownContainerRegistryAudience.AzureResourceManagerChina;
  if (registry.endsWith(".azurecr.us"))
    return KnownContainerRegistryAudience.AzureResourceManagerGovernment;
  return KnownContainerRegistryAudience.AzureResourceManagerPublicCloud;
}

interface Sender {
  readonly sendRequest: (request: PipelineRequest) => Promise<PipelineResponse>;
}

/** The generated client inside the SDK's: it sends any request with the same authentication. */
export function senderOf(client: ContainerRegistryClient): Sender {
  const inner: unknown = Reflect.get(client, "client");
  if (
    typeof inner === "object" &&
    inner !== null &&
    "sendRequest" in inner &&
    typeof inner.sendRequest === "function"
  ) {
    return inner as Sender;
  }
  throw new OperatorError(
    "CONFIG_INVALID",
    "@azure/container-registry has changed: its client has no sendRequest",
  );
}
