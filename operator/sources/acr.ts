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

import { readBounded } from "../body.ts";
import { OperatorError } from "../errors.ts";
import { guardedHttpClient } from "./azure-http.ts";
import { identityKey, type Identity } from "./identity.ts";
import { MANIFEST_TYPES, type ImageRegistry, type RegistryOptions } from "./image.ts";
import { manifestPath, type ImageReference } from "./reference.ts";
import {
  AnswerTooLargeError,
  digestOf,
  errorOf,
  MAX_ANSWER_BYTES,
  unreachable,
} from "./registry-answer.ts";
import { readAllTags } from "./tag-pages.ts";
import { NoTokenError } from "./workload.ts";

/**
 * Azure Container Registry through `@azure/container-registry`, which knows how Azure identities become registry tokens.
 * It has no public HEAD, nor the list of names alone; these requests go through its own pipeline, so that its tokens serve.
 */

/** Sovereign clouds know another resource. */
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

const MAX_CLIENTS = 2000;

/** Each needs a token of its own. */
type Purpose = "pull" | "list" | "metadata";

/** The client asks for tokens without the signal of the request that needs them: it gets there so. */
const signals = new AsyncLocalStorage<AbortSignal>();

export function createAcr({ agents, credentials }: RegistryOptions): ImageRegistry {
  const guarded = guardedHttpClient(agents);
  const httpClient: HttpClient = {
    sendRequest: async (request) => {
      const signal = request.abortSignal ?? signals.getStore();
      if (signal !== undefined) request.abortSignal = signal;
      // Every answer as a stream, whatever its status: the client itself would read it without end.
      request.streamResponseStatusCodes = new Set([Number.POSITIVE_INFINITY]);
      const { readableStreamBody, ...response } = await guarded.sendRequest(request);
      const { bytes, whole } = await readBounded(readableStreamBody, MAX_ANSWER_BYTES);
      if (!whole) throw new AnswerTooLargeError(new URL(request.url).host);
      return { ...response, bodyAsText: bytes.toString("utf8") };
    },
  };
  /** One per purpose, repository and identity: a client holds one access token, and changing its scope costs two requests. */
  const clients = new Map<string, ContainerRegistryClient>();

  function clientOf(
    purpose: Purpose,
    { registry, repository }: ImageReference,
    identity: Identity,
  ): ContainerRegistryClient {
    const key = `${purpose} ${registry}/${repository} ${identityKey(identity)}`;
    const present = clients.get(key);
    if (present !== undefined) {
      // The one used last goes last.
      clients.delete(key);
      clients.set(key, present);
      return present;
    }
    const options = {
      httpClient,
      audience: audienceOf(registry),
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

  async function send(
    purpose: Purpose,
    method: "GET" | "HEAD",
    path: string,
    reference: ImageReference,
    identity: Identity,
    signal: AbortSignal,
  ): Promise<PipelineResponse> {
    try {
      const url = `https://${reference.registry}${path}`;
      const request = createPipelineRequest({ method, url, abortSignal: signal });
      if (method === "HEAD") request.headers.set("accept", MANIFEST_TYPES);
      const sender = senderOf(clientOf(purpose, reference, identity));
      return await signals.run(signal, () => sender.sendRequest(request));
    } catch (error) {
      throw error instanceof AnswerTooLargeError ? error : statusOf(error, reference, identity);
    }
  }

  /** The tag that was pushed last, with the moment: one small page of ACR's own list, in order of time. */
  async function newestPush(
    repository: ImageReference,
    identity: Identity,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (identity.kind !== "workload") return undefined;
    const pages = clientOf("metadata", repository, identity)
      .getArtifact(repository.repository, "latest")
      .listTagProperties({ order: "LastUpdatedOnDescending", abortSignal: signal })
      .byPage({ maxPageSize: 1 });
    try {
      const { value } = await signals.run(signal, () => pages.next());
      const [newest] = value ?? [];
      return newest && `${newest.name} ${newest.digest} ${newest.lastUpdatedOn.toISOString()}`;
    } catch (error) {
      const told = statusOf(error, repository, identity);
      // Who may pull need not be allowed to read this list: then the whole of the other one is read each time.
      if (told.code === "REGISTRY_AUTH_FAILED") return undefined;
      throw told;
    }
  }

  return {
    resolve: async (reference, identity, signal) => {
      const path = manifestPath(reference);
      const { status, headers } = await send("pull", "HEAD", path, reference, identity, signal);
      const answer = { status, retryAfter: headers.get("retry-after") };
      return digestOf(answer, headers.get("docker-content-digest"), reference, identity);
    },
    listTags: (repository, identity, signal) =>
      readAllTags(repository, identity, async (path) => {
        const answer = await send("list", "GET", path, repository, identity, signal);
        return {
          status: answer.status,
          text: answer.bodyAsText ?? "",
          link: answer.headers.get("link"),
          retryAfter: answer.headers.get("retry-after"),
        };
      }),
    newestPush,
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
    return errorOf({ status: error.statusCode, retryAfter }, reference, identity);
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
