import {
  formatReference,
  isDigest,
  type ImageReference,
} from "../../../crds/grammar/image-reference.ts";
import { retryAfterMs } from "../../../crds/grammar/retry-after.ts";
import { OperatorError } from "../../errors.ts";
import type { Identity } from "../identity.ts";

/** What a response of a registry means, whichever client sent the request. */

export interface RegistryResponse {
  /** What was requested, for messages: `HEAD https://<host>/v2/…`, without the query. */
  readonly request: string;
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly text: string;
}

/** The largest body that is read: some registries return the whole list of tags at once, all other bodies are short. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;
const MAX_RETRY_AFTER_MS = 3_600_000;
/** The wait after a 429 without Retry-After. */
const THROTTLED_MS = 30_000;

export function describeRequest(method: string, url: string | URL): string {
  const { origin, pathname } = new URL(url);
  return `${method} ${origin}${pathname}`;
}

/** The digest in the response to a HEAD of a manifest. @throws as `ImageRegistry.resolve` */
export function digestIn(
  response: RegistryResponse,
  reference: ImageReference,
  identity: Identity,
): string {
  if (response.status !== 200) throw statusError(response, reference, identity);
  const digest = response.header("docker-content-digest");
  if (digest === undefined || !isDigest(digest)) {
    throw unexpectedResponse(response, `no digest: check that ${reference.registry} is a registry`);
  }
  if (reference.digest !== undefined && digest !== reference.digest) {
    throw unexpectedResponse(
      response,
      `the digest ${digest}, not the requested ${reference.digest}: check the registry, or a proxy before it`,
    );
  }
  return digest;
}

/** The error of a response with any status but 200. */
export function statusError(
  response: RegistryResponse,
  reference: ImageReference,
  identity: Identity,
): OperatorError {
  const { status, request } = response;
  const { registry } = reference;
  const headers = { retryAfter: response.header("retry-after"), date: response.header("date") };
  const waitMs = retryAfterMs(headers, MAX_RETRY_AFTER_MS);
  if (status === 401 || status === 403) return accessDenied(reference, identity, status);
  if (status === 404) {
    return new OperatorError(
      "IMAGE_NOT_FOUND",
      `${formatReference(reference)} is not there (or hidden from this identity): push it, or correct spec.image`,
    );
  }
  if (status === 429) {
    const wait = waitMs ?? THROTTLED_MS;
    return new OperatorError(
      "REGISTRY_THROTTLED",
      `${registry} asks to slow down (429): polls of it pause for ${Math.ceil(wait / 1000)} s; if this lasts, raise spec.interval or use credentials with a higher limit`,
      { retryAfterMs: wait },
    );
  }
  if (status >= 500) {
    return new OperatorError(
      "REGISTRY_UNAVAILABLE",
      `${registry} returned ${status} to ${request}: the operator retries`,
      { retryAfterMs: waitMs },
    );
  }
  return unexpectedResponse(response, `check that ${registry} is a registry`);
}

/** A 401 or 403, of the registry or of its token endpoint. */
export function accessDenied(
  { registry, repository }: ImageReference,
  identity: Identity,
  status: number,
): OperatorError {
  const who = {
    anonymous:
      "anonymous reads (name a Secret in credentials.registry, or make the repository public)",
    workload: "the workload identity (grant it AcrPull or Container Registry Repository Reader)",
    basic: "the login in the registry Secret (renew it)",
    accountKey: "this identity",
    sas: "this identity",
  }[identity.kind];
  return new OperatorError(
    "REGISTRY_AUTH_FAILED",
    `${registry} refuses ${who} for ${repository}: ${status}`,
  );
}

/** @param problem what is wrong with the response, and what to do */
export function unexpectedResponse(
  { status, request, header }: RegistryResponse,
  problem: string,
): OperatorError {
  const type = header("content-type")?.slice(0, 100);
  return new OperatorError(
    "REGISTRY_UNEXPECTED_RESPONSE",
    `unexpected response: ${status}${type ? ` with ${type}` : ""} to ${request}; ${problem}`,
  );
}

/**
 * The error of a request without a response; an error of our own stays what it is. One message for a name that does not
 * exist, a port that is closed, a certificate that is not trusted, and a host that is no registry: else an AIApp could
 * scan the networks that the operator is in. Its log has the cause.
 */
export function connectionError(reference: ImageReference, error: unknown): OperatorError {
  if (error instanceof OperatorError) return error;
  if (error instanceof Error && error.cause instanceof OperatorError) return error.cause;
  const isLate = error instanceof Error && /^(Abort|Timeout)Error$/.test(error.name);
  return new OperatorError(
    "REGISTRY_UNAVAILABLE",
    isLate
      ? `${reference.registry} did not respond in time: check the network and the load of the registry; retrying`
      : `${reference.registry} cannot be reached: check the host, its certificate and the network; the log has the cause; retrying`,
    { cause: error },
  );
}

/** The parsed JSON; undefined for a text that is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
