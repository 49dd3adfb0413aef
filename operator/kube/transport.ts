import { HttpMethod, RequestContext, type KubeConfig } from "@kubernetes/client-node";
import { fetch, type Dispatcher, type Response } from "undici";

import { readBounded } from "../body.ts";
import { OperatorError } from "../errors.ts";
import { errorOf, messageIn, ResponseTooLargeError, unavailable } from "./response.ts";

/** Requests to the API server, with the kubeconfig's credentials and the project's errors. */
export interface Transport {
  /** A request and its whole response, within the time that one request may take. */
  readonly json: <T>(request: Request, signal: AbortSignal) => Promise<T>;
  /** A request whose response the caller reads; only the signal bounds it. */
  readonly open: (request: Request, signal: AbortSignal) => Promise<Response>;
}

export interface Request {
  readonly method: keyof typeof HttpMethod;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: { readonly type: string; readonly value: unknown };
  /** The user that the API server is to decide by, in place of the kubeconfig's: it must allow impersonating that one. */
  readonly asUser?: string;
}

export interface TransportSettings {
  readonly config: KubeConfig;
  readonly requestTimeoutMs: number;
  /** A larger response is an error; 64 MiB when not given. */
  readonly maxResponseBytes?: number;
  /** Called with every response, for rest_client_requests_total; the code is `<error>` when none came. */
  readonly onResponse?: (method: string, code: number | "<error>", host: string) => void;
}

/** The same connections, with each request made as another user. */
export function asUser({ json, open }: Transport, user: string): Transport {
  return {
    json: (request, signal) => json({ ...request, asUser: user }, signal),
    open: (request, signal) => open({ ...request, asUser: user }, signal),
  };
}

type Send = (request: Request, url: URL, signal: AbortSignal) => Promise<Response>;

const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;
const MAX_ERROR_BYTES = 100_000;
/** Connections are shared for this long; then certificates are read again. Tokens are, with every request. */
const DISPATCHER_LIFETIME_MS = 10 * 60_000;

export function createTransport(settings: TransportSettings): Transport {
  const send = createSender(settings.config);
  const open = (request: Request, signal: AbortSignal): Promise<Response> =>
    openResponse(settings, send, request, signal);
  return {
    open: (request, signal) => translateErrors(request, signal, () => open(request, signal)),
    json: <T>(request: Request, signal: AbortSignal) =>
      translateErrors(request, signal, async () => {
        const bounded = AbortSignal.any([signal, AbortSignal.timeout(settings.requestTimeoutMs)]);
        const response = await open(request, bounded);
        return readJson<T>(request, response, settings.maxResponseBytes ?? MAX_RESPONSE_BYTES);
      }),
  };
}

/** Sends requests with credentials, over connections that it keeps. */
function createSender(config: KubeConfig): Send {
  let connections: { readonly dispatcher: Dispatcher | undefined; readonly until: number } = {
    dispatcher: undefined,
    until: 0,
  };
  return async ({ method, body, asUser }, url, signal) => {
    const context = new RequestContext(url.toString(), HttpMethod[method]);
    await config.applySecurityAuthentication(context);
    if (connections.until <= performance.now()) {
      connections = {
        dispatcher: context.getDispatcher(),
        until: performance.now() + DISPATCHER_LIFETIME_MS,
      };
    }
    return fetch(url, {
      method,
      headers: {
        ...context.getHeaders(),
        accept: "application/json",
        ...(body && { "content-type": body.type }),
        // The API server adds the groups of a ServiceAccount itself.
        ...(asUser !== undefined && { "impersonate-user": asUser }),
      },
      ...(body && { body: toJson(body.value) }),
      ...(connections.dispatcher && { dispatcher: connections.dispatcher }),
      // Credentials go to the API server and nowhere else.
      redirect: "error",
      signal,
    });
  };
}

function urlOf(config: KubeConfig, { path, query = {} }: Request): URL {
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new OperatorError("CONFIG_INVALID", "the kubeconfig names no current cluster");
  const url = new URL(cluster.server.replace(/\/$/, "") + path);
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(key, value);
  }
  return url;
}

async function openResponse(
  { config, onResponse }: TransportSettings,
  send: Send,
  request: Request,
  signal: AbortSignal,
): Promise<Response> {
  const { method, path } = request;
  const url = urlOf(config, request);
  let response: Response;
  try {
    response = await send(request, url, signal);
  } catch (error) {
    onResponse?.(method, "<error>", url.host);
    throw error;
  }
  onResponse?.(method, response.status, url.host);
  if (response.ok) return response;
  const { bytes } = await readBounded(response.body, MAX_ERROR_BYTES);
  const retryAfter = response.headers.get("retry-after");
  throw errorOf(response.status, method, path, messageIn(bytes.toString("utf8")), retryAfter);
}

async function readJson<T>(
  { method, path }: Request,
  response: Response,
  maxBytes: number,
): Promise<T> {
  const { bytes, whole } = await readBounded(response.body, maxBytes);
  if (!whole) throw new ResponseTooLargeError(`${method} ${path}`, maxBytes);
  try {
    // The API server holds its objects to their schema.
    return JSON.parse(bytes.toString("utf8")) as T;
  } catch (cause) {
    const message = `${method} ${path}: the response is not JSON`;
    throw new OperatorError("KUBE_UNEXPECTED_RESPONSE", message, { cause });
  }
}

async function translateErrors<T>(
  { method, path }: Request,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    // The caller's own reason is thrown as it is, unless it is a deadline: that is a timeout.
    if (signal.aborted && !isTimeout(signal.reason)) throw signal.reason;
    throw unavailable(method, path, error);
  }
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === "TimeoutError";
}

/**
 * JSON as Go writes it. The API server keeps some members as text, such as the data of a ControllerRevision: it must read the
 * same after the API server has parsed and written it, or it counts as changed.
 */
function toJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
