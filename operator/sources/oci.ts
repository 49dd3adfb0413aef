import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";

import { z } from "zod";

import { readBounded } from "../body.ts";
import { OperatorError } from "../errors.ts";
import { againWhenReset, schemeOf } from "./hosts.ts";
import { identityKey, type Identity } from "./identity.ts";
import { apiHost, manifestPath, type ImageReference } from "./reference.ts";
import { MANIFEST_TYPES, type ImageRegistry, type RegistryOptions } from "./image.ts";
import {
  AnswerTooLargeError,
  digestOf,
  errorOf,
  jsonOf,
  MAX_ANSWER_BYTES,
  refused,
  unreachable,
  type Answer,
} from "./registry-answer.ts";
import { readAllTags } from "./tag-pages.ts";

/** The OCI distribution API, with the token flow that registries share (distribution's "token authentication"). */

interface Response extends Answer {
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

async function read(response: IncomingMessage, { host }: URL): Promise<Response> {
  const { statusCode: status = 0, headers } = response;
  const { bytes, whole } = await readBounded(response, MAX_ANSWER_BYTES);
  if (!whole) throw new AnswerTooLargeError(host);
  return { status, headers, retryAfter: headers["retry-after"], text: bytes.toString("utf8") };
}

const MAX_TOKENS = 1000;
const Token = z.object({
  token: z.string().optional(),
  access_token: z.string().optional(),
  expires_in: z.number().optional(),
});

/** What a token is good for when nobody says (distribution's token specification). */
const MIN_TOKEN_SECONDS = 60;

const Claims = z.object({ iat: z.number(), exp: z.number() });

/** ACR says how long its tokens live in the tokens only: JWTs. Both times are the registry's, so its clock is no matter. */
function lifetimeOf(token: string): number | undefined {
  const payload = Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8");
  const claims = Claims.safeParse(jsonOf(payload));
  return claims.success ? claims.data.exp - claims.data.iat : undefined;
}

/** What is asked for, and the rights to it: ACR wants another one for lists than for manifests. */
const READS = /^repository:(?<repository>[^:]+):(pull|metadata_read)(,(pull|metadata_read))*$/;

/** Rights as the challenge names them, if they are to read this repository; else those to pull from it. */
function scopeOf(challenge: Map<string, string>, repository: string): string {
  const asked = challenge.get("scope") ?? "";
  return READS.exec(asked)?.groups?.["repository"] === repository
    ? asked
    : `repository:${repository}:pull`;
}

/** `Bearer realm="…",service="…",scope="…"` (RFC 9110, 11.6.1). */
function parseChallenge(header: string): { scheme: string; parameters: Map<string, string> } {
  const [scheme = ""] = header.trim().split(/\s/, 1);
  const parameters = new Map<string, string>();
  for (const match of header.slice(scheme.length).matchAll(/([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"/g)) {
    parameters.set((match[1] ?? "").toLowerCase(), match[2] ?? "");
  }
  return { scheme: scheme.toLowerCase(), parameters };
}

/** The last two labels: `auth.docker.io` and `registry-1.docker.io` belong together. */
function site(host: string): string {
  return host.replace(/:\d+$/, "").split(".").slice(-2).join(".");
}

export function createOci({ policy, agents }: RegistryOptions): ImageRegistry {
  const tokens = new Map<string, { readonly value: string; readonly until: number }>();

  async function send(
    method: "GET" | "HEAD",
    url: URL,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Response> {
    agents.check(url.hostname);
    const insecure = url.protocol === "http:";
    return againWhenReset(() => once(insecure, method, url, headers, signal));
  }

  function once(
    insecure: boolean,
    method: "GET" | "HEAD",
    url: URL,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      const request = (insecure ? httpRequest : httpsRequest)(
        url,
        { method, headers, signal, agent: insecure ? agents.http : agents.https },
        (response) => resolve(read(response, url)),
      );
      request.on("error", reject);
      request.end();
    });
  }

  /** Where a token may be asked for: never where a registry could send somebody's password by a forged challenge. */
  function realmOf(challenge: Map<string, string>, registry: string): URL {
    const realm = URL.parse(challenge.get("realm") ?? "");
    const allowed =
      realm !== null &&
      (realm.protocol === "https:" ||
        (realm.protocol === "http:" && policy.insecureHosts.has(registry))) &&
      (realm.host === registry || site(realm.host) === site(apiHost(registry)));
    if (!allowed) {
      throw new OperatorError(
        "REGISTRY_UNEXPECTED_RESPONSE",
        `${registry} sends logins to ${challenge.get("realm") ?? "nowhere"}, which is not a site of its own: no credentials were sent`,
      );
    }
    return realm;
  }

  async function authorize(
    header: string,
    reference: ImageReference,
    identity: Identity,
    signal: AbortSignal,
  ): Promise<{ value: string; until: number }> {
    const basic =
      identity.kind === "basic"
        ? `Basic ${Buffer.from(`${identity.username}:${identity.password}`).toString("base64")}`
        : undefined;
    const { scheme, parameters } = parseChallenge(header);
    if (scheme === "basic" && basic !== undefined)
      return { value: basic, until: Number.POSITIVE_INFINITY };
    if (scheme !== "bearer") throw refused(reference, identity, 401);
    const realm = realmOf(parameters, reference.registry);
    const service = parameters.get("service");
    if (service !== undefined) realm.searchParams.set("service", service);
    realm.searchParams.set("scope", scopeOf(parameters, reference.repository));
    const answer = await send(
      "GET",
      realm,
      basic === undefined ? {} : { authorization: basic },
      signal,
    );
    if (answer.status !== 200) throw errorOf(answer, reference, identity);
    const parsed = Token.safeParse(jsonOf(answer.text));
    const token = parsed.data?.token ?? parsed.data?.access_token;
    if (token === undefined) {
      throw new OperatorError(
        "REGISTRY_UNEXPECTED_RESPONSE",
        `${realm.host} gave no token for ${reference.repository}`,
      );
    }
    const told = parsed.data?.expires_in ?? lifetimeOf(token) ?? MIN_TOKEN_SECONDS;
    const seconds = Math.min(Math.max(told, MIN_TOKEN_SECONDS), 3600);
    return { value: `Bearer ${token}`, until: performance.now() + (seconds - 20) * 1000 };
  }

  async function ask(
    method: "GET" | "HEAD",
    path: string,
    reference: ImageReference,
    identity: Identity,
    signal: AbortSignal,
  ): Promise<Response> {
    const { registry, repository } = reference;
    const url = new URL(`${schemeOf(registry, policy)}://${apiHost(registry)}${path}`);
    const key = `${method} ${registry}/${repository} ${identityKey(identity)}`;
    const present = tokens.get(key);
    const fresh = present !== undefined && present.until > performance.now() ? present : undefined;
    const headers = { accept: method === "HEAD" ? MANIFEST_TYPES : "application/json" };
    const answer = await send(
      method,
      url,
      { ...headers, ...(fresh && { authorization: fresh.value }) },
      signal,
    );
    const challenge = answer.headers["www-authenticate"];
    if (answer.status !== 401 || challenge === undefined) return answer;
    tokens.delete(key);
    const token = await authorize(challenge, reference, identity, signal);
    if (tokens.size >= MAX_TOKENS) tokens.delete(tokens.keys().next().value ?? "");
    tokens.set(key, token);
    return send(method, url, { ...headers, authorization: token.value }, signal);
  }

  return {
    resolve: async (reference, identity, signal) => {
      let answer: Response;
      try {
        const path = manifestPath(reference);
        answer = await ask("HEAD", path, reference, identity, signal);
      } catch (error) {
        throw unreachable(reference, error);
      }
      return digestOf(answer, answer.headers["docker-content-digest"], reference, identity);
    },
    listTags: async (repository, identity, signal) => {
      try {
        return await readAllTags(repository, identity, async (path) => {
          const answer = await ask("GET", path, repository, identity, signal);
          return { ...answer, link: answer.headers["link"]?.toString() };
        });
      } catch (error) {
        throw unreachable(repository, error);
      }
    },
    newestPush: async () => undefined,
  };
}
