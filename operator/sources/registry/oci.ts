import { LRUCache } from "lru-cache";

import type { ImageReference } from "../../../crds/grammar/image-reference.ts";
import { schemeOf } from "../hosts.ts";
import { identityKey, type Identity } from "../identity.ts";
import { parseChallenge, scopeFor, type Challenge } from "./challenge.ts";
import { acceptOf, distributionApi, type ApiRequest, type Purpose } from "./distribution-api.ts";
import { sendRequest } from "./http-request.ts";
import type { ImageRegistry, RegistryOptions } from "./image-registry.ts";
import {
  accessDenied,
  statusError,
  unexpectedResponse,
  type RegistryResponse,
} from "./response.ts";
import { apiHost, tokenUrl } from "./token-host.ts";
import { parseToken } from "./token.ts";

const MAX_AUTHORIZATIONS = 1000;

/** A value of the Authorization header; without `usableMs` it does not expire. */
interface Authorization {
  readonly value: string;
  readonly usableMs: number | undefined;
}

/** Any registry, by the OCI distribution API and the token flow that registries share. */
export function createOci(options: RegistryOptions): ImageRegistry {
  const { policy, agents } = options;
  /** By purpose, because registries may require another scope for lists than for manifests. */
  const authorizations = new LRUCache<string, string>({ max: MAX_AUTHORIZATIONS });

  async function send(
    wanted: ApiRequest,
    reference: ImageReference,
    identity: Identity,
    signal: AbortSignal,
  ): Promise<RegistryResponse> {
    const { registry, repository } = reference;
    const { method, path, purpose, manifest } = wanted;
    const key = `${purpose} ${registry}/${repository} ${identityKey(identity)}`;
    const url = new URL(`${schemeOf(registry, policy)}://${apiHost(registry)}${path}`);
    const attempt = (authorization: string | undefined): Promise<RegistryResponse> => {
      const headers = {
        accept: acceptOf(wanted),
        ...(manifest !== undefined && { "content-type": manifest.mediaType }),
        ...(authorization !== undefined && { authorization }),
      };
      return sendRequest({ method, url, headers, body: manifest?.text }, agents, signal);
    };

    const response = await attempt(authorizations.get(key));
    const header = response.header("www-authenticate");
    if (response.status !== 401 || header === undefined) return response;
    authorizations.delete(key);
    const authorization = await authorize(
      parseChallenge(header),
      { reference, identity, options, purpose },
      signal,
    );
    const { value, usableMs } = authorization;
    authorizations.set(key, value, usableMs === undefined ? {} : { ttl: usableMs });
    return attempt(value);
  }

  return { ...distributionApi(send, agents.budget), lastPush: () => Promise.resolve(undefined) };
}

interface Access {
  readonly reference: ImageReference;
  readonly identity: Identity;
  readonly options: RegistryOptions;
  readonly purpose: Purpose;
}

/** Meets a registry's challenge. @throws REGISTRY_AUTH_FAILED, REGISTRY_UNEXPECTED_RESPONSE */
async function authorize(
  challenge: Challenge,
  access: Access,
  signal: AbortSignal,
): Promise<Authorization> {
  const { reference, identity } = access;
  const login = loginOf(identity);
  if (challenge.scheme === "basic" && login !== undefined) {
    return { value: login, usableMs: undefined };
  }
  if (challenge.scheme !== "bearer") throw accessDenied(reference, identity, 401);
  return requestToken(challenge, login, access, signal);
}

function loginOf(identity: Identity): string | undefined {
  if (identity.kind !== "basic") return undefined;
  const { username, password } = identity;
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

async function requestToken(
  challenge: Challenge,
  login: string | undefined,
  { reference, identity, options, purpose }: Access,
  signal: AbortSignal,
): Promise<Authorization> {
  const url = tokenUrl(challenge, reference.registry, options);
  const service = challenge.parameters.get("service");
  if (service !== undefined) url.searchParams.set("service", service);
  url.searchParams.set("scope", scopeFor(challenge, reference.repository, purpose));
  const headers = login === undefined ? {} : { authorization: login };
  const response = await sendRequest({ method: "GET", url, headers }, options.agents, signal);
  if (response.status !== 200) throw statusError(response, reference, identity);
  const parsed = parseToken(response.text);
  if (parsed === undefined) {
    throw unexpectedResponse(response, `no token for ${reference.repository}: check the registry`);
  }
  return { value: `Bearer ${parsed.token}`, usableMs: parsed.usableMs };
}
