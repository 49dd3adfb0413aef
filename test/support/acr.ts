import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";

import { createTokens, type Tokens } from "./acr-tokens.ts";
import { createTagTimes, listRoutes, type TagTimes } from "./acr-lists.ts";
import { misbehave, type Faults } from "./faults.ts";
import { forward, listenTls, type Listening } from "./forward.ts";
import type { Certificate } from "./tls.ts";

/**
 * A stand-in for Azure Container Registry in front of a real registry: TLS, the 401 challenge, the token exchange, ACR's
 * own lists of tags and manifests (`/acr/v1`), and injected faults. Its responses follow ACR's documentation and
 * `@azure/container-registry`; the contract suite of sources/ runs against both registries.
 */
export interface Acr {
  readonly port: number;
  readonly close: () => Promise<void>;
}

export interface AcrOptions {
  readonly listening: Listening;
  /** Its name for clients, with the port unless that is 443. */
  readonly name: (port: number) => string;
  readonly certificate: Certificate;
  readonly faults: Faults;
  /** The real registry's port on loopback. */
  readonly upstream: number;
  /** Password by user, for `docker login` and pull Secrets. */
  readonly logins: Readonly<Record<string, string>>;
  /** Users that may pull, and not push. */
  readonly readers?: readonly string[];
  /** Whether an Entra token is valid; absent: none is. */
  readonly isEntraToken?: (token: string) => boolean;
  readonly anonymousPull?: boolean;
}

/** With this user name the password is a refresh token. */
const TOKEN_USER = "00000000-0000-0000-0000-000000000000";

export async function startAcr(options: AcrOptions): Promise<Acr> {
  const tokens = createTokens();
  const tagTimes = createTagTimes();
  const { server: _, ...listening } = await listenTls(
    options.listening,
    options.certificate,
    (request, response) => {
      const name = options.name(listening.port);
      handle(options, { tokens, tagTimes }, name, request, response).catch((error: unknown) => {
        if (!response.headersSent) response.writeHead(500);
        response.end(String(error));
      });
    },
  );
  return listening;
}

async function handle(
  options: AcrOptions,
  { tokens, tagTimes }: { readonly tokens: Tokens; readonly tagTimes: TagTimes },
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = "GET", url = "/" } = request;
  const { pathname, searchParams } = new URL(url, `https://${name}`);
  if (pathname.startsWith("/oauth2/")) {
    const action = options.faults.take("acr", method, url);
    if (!misbehave(action, request, response)) {
      const form = method === "POST" ? new URLSearchParams(await text(request)) : searchParams;
      grant(options, tokens, pathname, form, request.headers.authorization, response);
    }
    const status = response.headersSent ? response.statusCode : 0;
    options.faults.record({ service: "acr", method, path: url, status, conditional: false });
    return;
  }
  const needed = scopeOf(method, pathname);
  if (!allows(tokens, needed, request.headers.authorization)) {
    const scope = needed === undefined ? "" : `,scope="${needed.name}:${needed.action}"`;
    options.faults.record({ service: "acr", method, path: url, status: 401, conditional: false });
    request.resume();
    response.writeHead(401, {
      "www-authenticate": `Bearer realm="https://${name}/oauth2/token",service="${name}"${scope}`,
      "content-type": "application/json",
    });
    response.end(errorBody("UNAUTHORIZED", "authentication required"));
    return;
  }
  if (pathname.startsWith("/acr/v1/") || isTagList(pathname)) {
    const action = options.faults.take("acr", method, url);
    if (!misbehave(action, request, response)) {
      options.faults.record({ service: "acr", method, path: url, status: 200, conditional: false });
      await listRoutes(
        { upstream: options.upstream, tagTimes },
        name,
        pathname,
        searchParams,
        response,
      );
    }
    return;
  }
  forward(
    {
      service: "acr",
      faults: options.faults,
      target: options.upstream,
      // The upstream registry returns its own address; clients must come back to the stand-in.
      rewrite: (headers) =>
        headers.location === undefined
          ? headers
          : { ...headers, location: headers.location.replace(/^https?:\/\/[^/]+/, "") },
    },
    request,
    response,
  );
}

function isTagList(pathname: string): boolean {
  return /^\/v2\/.+\/tags\/list$/.test(pathname);
}

interface Scope {
  readonly name: string;
  readonly action: string;
}

/** The scope that a request requires: `repository:<name>` and an action. Undefined: any valid token. */
function scopeOf(method: string, pathname: string): Scope | undefined {
  if (pathname.startsWith("/acr/v1/")) {
    const repository = /^\/acr\/v1\/(.+?)(\/_(tags|manifests)(\/.*)?)?$/.exec(pathname)?.[1];
    if (repository === "_catalog") return { name: "registry:catalog", action: "*" };
    return {
      name: `repository:${decodeURIComponent(repository ?? "")}`,
      action: "metadata_read",
    };
  }
  const repository = /^\/v2\/(.+)\/(manifests|blobs|tags)\//.exec(pathname)?.[1];
  if (repository === undefined) return undefined;
  // At ACR, lists of tags are metadata: it refuses a token for pull.
  const action = isTagList(pathname)
    ? "metadata_read"
    : method === "GET" || method === "HEAD"
      ? "pull"
      : method === "DELETE"
        ? "delete"
        : "push";
  return { name: `repository:${decodeURIComponent(repository)}`, action };
}

function allows(tokens: Tokens, needed: Scope | undefined, authorization = ""): boolean {
  const claims = tokens.read("access", authorization.replace(/^Bearer /, ""));
  if (claims === undefined) return false;
  if (needed === undefined) return true;
  return claims.scopes.some((scope) => {
    const colon = scope.lastIndexOf(":");
    return (
      scope.slice(0, colon) === needed.name &&
      scope
        .slice(colon + 1)
        .split(",")
        .some((action) => action === needed.action || action === "*")
    );
  });
}

function grant(
  options: AcrOptions,
  tokens: Tokens,
  pathname: string,
  form: URLSearchParams,
  authorization: string | undefined,
  response: ServerResponse,
): void {
  const answer = (status: number, body: unknown): void => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  if (pathname === "/oauth2/exchange") {
    const given = form.get("access_token") ?? "";
    if (options.isEntraToken?.(given) !== true) {
      return answer(401, { errors: [{ code: "UNAUTHORIZED", message: "no such identity" }] });
    }
    return answer(200, { refresh_token: tokens.issue("refresh", "entra", []) });
  }
  const who = whoAsks(options, tokens, form, authorization);
  if (who === undefined) {
    return answer(401, { errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] });
  }
  const requested = form
    .getAll("scope")
    .flatMap((scope) => scope.split(" "))
    .filter(Boolean);
  const readable = /:(pull|metadata_read)$/;
  const mayOnlyRead = who === "anonymous" || options.readers?.includes(who) === true;
  const scopes = mayOnlyRead ? requested.filter((scope) => readable.test(scope)) : requested;
  const access = tokens.issue("access", who, scopes);
  return answer(200, { access_token: access, token: access });
}

function whoAsks(
  { logins, anonymousPull }: AcrOptions,
  tokens: Tokens,
  form: URLSearchParams,
  authorization = "",
): string | undefined {
  // The client of an anonymous reader sends an empty one.
  const refresh = form.get("refresh_token") || null;
  if (refresh !== null) return tokens.read("refresh", refresh)?.who;
  const [user, password] = authorization.startsWith("Basic ")
    ? split(Buffer.from(authorization.slice("Basic ".length), "base64").toString("utf8"))
    : [form.get("username") ?? "", form.get("password") ?? ""];
  if (user === TOKEN_USER) return tokens.read("refresh", password)?.who;
  if (user === "") return anonymousPull === true ? "anonymous" : undefined;
  return Object.hasOwn(logins, user) && logins[user] === password ? user : undefined;
}

function split(login: string): [string, string] {
  const colon = login.indexOf(":");
  return [login.slice(0, colon), login.slice(colon + 1)];
}

function errorBody(code: string, message: string): string {
  return JSON.stringify({ errors: [{ code, message, detail: null }] });
}
