import { createPipelineRequest, RestError } from "@azure/core-rest-pipeline";

import type { ImageReference } from "../../../crds/grammar/image-reference.ts";
import { ResponseTooLargeError } from "../../body.ts";
import { OperatorError } from "../../errors.ts";
import type { Identity } from "../identity.ts";
import { EntraTokenError } from "../bounded-credential.ts";
import { createAcrClients, senderOf, type AcrClients } from "./acr-client.ts";
import { acceptOf, distributionApi, type ApiRequest } from "./distribution-api.ts";
import type { ImageRegistry, RegistryOptions } from "./image-registry.ts";
import {
  connectionError,
  describeRequest,
  statusError,
  type RegistryResponse,
} from "./response.ts";

/**
 * Azure Container Registry through `@azure/container-registry`, which exchanges Azure identities for registry tokens.
 * It has no public HEAD, and no list of the tags' names alone; these requests go through its pipeline, with its tokens.
 */
export function createAcr(options: RegistryOptions): ImageRegistry {
  const clients = createAcrClients(options);
  return {
    ...distributionApi(
      (request, reference, identity, signal) => send(clients, request, reference, identity, signal),
      options.agents.budget,
    ),
    lastPush: (repository, identity, signal) => lastPush(clients, repository, identity, signal),
  };
}

async function send(
  clients: AcrClients,
  wanted: ApiRequest,
  reference: ImageReference,
  identity: Identity,
  signal: AbortSignal,
): Promise<RegistryResponse> {
  const { method, path, purpose, manifest } = wanted;
  const url = `https://${reference.registry}${path}`;
  try {
    const request = createPipelineRequest({ method, url, abortSignal: signal });
    request.headers.set("accept", acceptOf(wanted));
    if (manifest !== undefined) {
      request.headers.set("content-type", manifest.mediaType);
      request.body = manifest.text;
    }
    const sender = senderOf(clients.get(purpose, reference, identity));
    const { status, headers, bodyAsText } = await clients.withSignal(signal, () =>
      sender.sendRequest(request),
    );
    return {
      request: describeRequest(method, url),
      status,
      header: (name) => headers.get(name),
      text: bodyAsText ?? "",
    };
  } catch (error) {
    throw error instanceof ResponseTooLargeError ? error : acrError(error, reference, identity);
  }
}

/** The tag that was pushed last and when: one page of one entry of ACR's own list, ordered by time. */
async function lastPush(
  clients: AcrClients,
  repository: ImageReference,
  identity: Identity,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (identity.kind !== "workload") return undefined;
  const pages = clients
    .get("metadata", repository, identity)
    .getArtifact(repository.repository, "latest")
    .listTagProperties({ order: "LastUpdatedOnDescending", abortSignal: signal })
    .byPage({ maxPageSize: 1 });
  try {
    const { value } = await clients.withSignal(signal, () => pages.next());
    const [newest] = value ?? [];
    return newest && `${newest.name} ${newest.digest} ${newest.lastUpdatedOn.toISOString()}`;
  } catch (error) {
    const translated = acrError(error, repository, identity);
    // An identity that may pull need not have the right to this list: then each poll lists all tags.
    if (translated.code === "REGISTRY_AUTH_FAILED") return undefined;
    throw translated;
  }
}

/** The SDK throws for a status of the token exchange; any other error means that there was no response. */
function acrError(error: unknown, reference: ImageReference, identity: Identity): OperatorError {
  if (error instanceof RestError && error.statusCode !== undefined) {
    const { request, response: received, statusCode: status } = error;
    const response: RegistryResponse = {
      request: describeRequest(
        request?.method ?? "GET",
        request?.url ?? `https://${reference.registry}`,
      ),
      status,
      header: (name) => received?.headers.get(name),
      text: "",
    };
    return statusError(response, reference, identity);
  }
  if (error instanceof EntraTokenError) {
    return new OperatorError(
      error.refused ? "REGISTRY_AUTH_FAILED" : "REGISTRY_UNAVAILABLE",
      error.explain(reference.registry),
      { cause: error },
    );
  }
  return connectionError(reference, error);
}
