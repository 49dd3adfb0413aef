import { AsyncLocalStorage } from "node:async_hooks";

import type { TokenCredential } from "@azure/core-auth";
import { ContainerRegistryClient, KnownContainerRegistryAudience } from "@azure/container-registry";
import {
  createPipelineRequest,
  type HttpClient,
  type PipelineRequest,
  type PipelineResponse,
  RestError,
} from "@azure/core-rest-pipeline";

import { OperatorError } from "../errors.ts";
import { guardedHttpClient } from "./azure-http.ts";
import { identityKey, type Identity } from "./identity.ts";
import { MANIFEST_TYPES, type ImageRegistry, type RegistryOptions } from "./image.ts";
import type { ImageReference } from "./reference.ts";
import { digestOf, errorOf, unreachable } from "./registry-answer.ts";
import { NoTokenError } from "./workload.ts";

/**
 * Azure Container Registry through `@azure/container-registry`, which knows how Azure identities become registry tokens.
 * It has no public HEAD; the request goes through its own pipeline, so that its tokens serve.
 */

interface Sender {
  readonly sendRequest: (request: PipelineRequest) => Promise<PipelineResponse>;
}

/** The generated client inside, which sends with the same authentication. */
function senderOf(client: ContainerRegistryClient): Sender {
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
    "@azure/container-registry has changed: its client sends no requests",
  );
}

const MAX_CLIENTS = 500;

/** The client asks for tokens without the signal of the request that needs them: it gets there so. */
const signals = new AsyncLocalStorage<AbortSignal>();

export function createAcr({ agents, credentials }: RegistryOptions): ImageRegistry {
  const guarded = guardedHttpClient(agents);
  const httpClient: HttpClient = {
    sendRequest: (request) => {
      const signal = request.abortSignal ?? signals.getStore();
      if (signal !== undefined) request.abortSignal = signal;
      return guarded.sendRequest(request);
    },
  };
  /** One per repository and identity: a client holds one access token, and changing its scope costs two requests. */
  const clients = new Map<string, ContainerRegistryClient>();

  function clientOf(
    { registry, repository }: ImageReference,
    identity: Identity,
  ): ContainerRegistryClient {
    const key = `${registry}/${repository} ${identityKey(identity)}`;
    const present = clients.get(key);
    if (present !== undefined) return present;
    const options = {
      httpClient,
      audience: KnownContainerRegistryAudience.AzureResourceManagerPublicCloud,
      retryOptions: { maxRetries: 0 },
    };
    const endpoint = `https://${registry}`;
    if (identity.kind !== "workload" && identity.kind !== "anonymous") {
      throw new OperatorError(
        "CREDENTIALS_MISSING",
        `${registry} is read with an Azure identity or a registry login`,
      );
    }
    // The two constructors differ: only the one without a credential reads anonymously.
    const client =
      identity.kind === "workload"
        ? new ContainerRegistryClient(endpoint, heedful(credentials.of(identity)), options)
        : new ContainerRegistryClient(endpoint, options);
    if (clients.size >= MAX_CLIENTS) clients.delete(clients.keys().next().value ?? "");
    clients.set(key, client);
    return client;
  }

  return {
    resolve: async (reference, identity, signal) => {
      const { registry, repository, tag, digest } = reference;
      let response: PipelineResponse;
      try {
        const request = createPipelineRequest({
          method: "HEAD",
          url: `https://${registry}/v2/${repository}/manifests/${digest ?? tag ?? ""}`,
          abortSignal: signal,
        });
        request.headers.set("accept", MANIFEST_TYPES);
        const sender = senderOf(clientOf(reference, identity));
        response = await signals.run(signal, () => sender.sendRequest(request));
      } catch (error) {
        throw statusOf(error, reference, identity);
      }
      return digestOf(
        reference,
        identity,
        response.status,
        response.headers.get("docker-content-digest"),
        response.headers.get("retry-after"),
      );
    },
  };
}

function heedful(credential: TokenCredential): TokenCredential {
  return {
    getToken: (scopes, options) => {
      const abortSignal = signals.getStore();
      return credential.getToken(scopes, { ...options, ...(abortSignal && { abortSignal }) });
    },
  };
}

/** Errors of the token exchange carry a status; everything else means that nobody answered. */
function statusOf(error: unknown, reference: ImageReference, identity: Identity): OperatorError {
  if (error instanceof RestError && error.statusCode !== undefined) {
    const retryAfter = error.response?.headers.get("retry-after");
    return errorOf(
      { status: error.statusCode, headers: { "retry-after": retryAfter } },
      reference,
      identity,
    );
  }
  if (error instanceof NoTokenError) {
    return new OperatorError(
      error.refused ? "REGISTRY_AUTH_FAILED" : "REGISTRY_UNAVAILABLE",
      error.explain(reference.registry),
      { cause: error },
    );
  }
  return unreachable(reference, error);
}
