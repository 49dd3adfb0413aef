import { HttpMethod, KubeConfig, RequestContext } from "@kubernetes/client-node";
import { fetch, type Dispatcher } from "undici";

import { OperatorError } from "../errors.ts";
import type { Kind, KubernetesObject } from "./types.ts";

/** The port to the Kubernetes API: what the rest of the operator needs of it, and no more. */
export interface Kube {
  readonly get: <T extends KubernetesObject>(
    kind: Kind<T>,
    namespace: string | undefined,
    name: string,
    signal: AbortSignal,
  ) => Promise<T | undefined>;
  /** All pages, up to `maxItems`; more is an error, never a partial list. */
  readonly list: <T extends KubernetesObject>(
    kind: Kind<T>,
    options: ListOptions,
    signal: AbortSignal,
  ) => Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }>;
  /** Ends when the server ends it; throws KUBE_GONE when the version is too old, KUBE_UNAVAILABLE when it stalls. */
  readonly watch: <T extends KubernetesObject>(
    kind: Kind<T>,
    options: WatchOptions,
    signal: AbortSignal,
  ) => AsyncIterable<WatchEvent<T>>;
  /** Server-side apply. With `metadata.uid` set it changes that very object or fails with KUBE_CONFLICT. */
  readonly apply: <T extends KubernetesObject>(
    kind: Kind<T>,
    object: T,
    options: ApplyOptions,
    signal: AbortSignal,
  ) => Promise<T>;
  readonly create: <T extends KubernetesObject>(
    kind: Kind<T>,
    object: T,
    signal: AbortSignal,
  ) => Promise<T>;
  /** JSON merge patch; with `metadata.resourceVersion` in it, only of that version. */
  readonly patch: <T extends KubernetesObject>(
    kind: Kind<T>,
    namespace: string,
    name: string,
    patch: unknown,
    options: { readonly subresource?: "status" },
    signal: AbortSignal,
  ) => Promise<T>;
  readonly replace: <T extends KubernetesObject>(
    kind: Kind<T>,
    object: T,
    signal: AbortSignal,
  ) => Promise<T>;
  /** Deletes that very object (by uid); one that is gone already is no error. */
  readonly delete: (
    kind: Kind,
    object: { readonly namespace: string; readonly name: string; readonly uid: string },
    signal: AbortSignal,
  ) => Promise<void>;
  /** A token of a ServiceAccount for an audience (TokenRequest). */
  readonly createToken: (
    namespace: string,
    serviceAccount: string,
    audience: string,
    signal: AbortSignal,
  ) => Promise<string>;
}

export interface ListOptions {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly maxItems?: number;
}

export interface WatchOptions extends ListOptions {
  readonly resourceVersion: string;
  /** The server ends the watch after this; silence for a little longer is a stall. */
  readonly timeoutSeconds: number;
}

export interface WatchEvent<T> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: T;
}

export interface ApplyOptions {
  readonly fieldManager: string;
  readonly force: boolean;
  readonly subresource?: "status";
}

export interface KubeSettings {
  readonly config: KubeConfig;
  readonly requestTimeoutMs: number;
  /** Told of every answer: for rest_client_requests_total. */
  readonly onAnswer?: (method: string, code: number) => void;
}

const PAGE = 500;
const MAX_ITEMS = 100_000;
const MAX_BODY_BYTES = 64 * 1024 * 1024;
const MAX_LINE_BYTES = 4 * 1024 * 1024;
/** Connections are kept, credentials are read anew with every request. */
const DISPATCHER_LIFETIME_MS = 10 * 60_000;

export function loadKubeConfig(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromDefault();
  return config;
}

function pathOf(
  kind: Kind,
  namespace: string | undefined,
  name?: string,
  subresource?: string,
): string {
  const base = kind.apiVersion.includes("/")
    ? `/apis/${kind.apiVersion}`
    : `/api/${kind.apiVersion}`;
  return [
    base,
    ...(namespace === undefined ? [] : ["namespaces", encodeURIComponent(namespace)]),
    kind.plural,
    ...(name === undefined ? [] : [encodeURIComponent(name)]),
    ...(subresource === undefined ? [] : [subresource]),
  ].join("/");
}

function errorOf(
  status: number,
  method: string,
  path: string,
  message: string,
  retryAfter: string | null,
): OperatorError {
  const what = `${method} ${path}: ${status} ${message}`.slice(0, 2000);
  const retryAfterMs =
    retryAfter === null ? undefined : Math.min(Number(retryAfter) || 1, 300) * 1000;
  switch (status) {
    case 400:
    case 422:
      return new OperatorError("KUBE_INVALID", what);
    case 401:
    case 403:
      return new OperatorError("KUBE_FORBIDDEN", what);
    case 404:
      return new OperatorError("KUBE_NOT_FOUND", what);
    case 409:
      return new OperatorError("KUBE_CONFLICT", what);
    case 410:
      return new OperatorError("KUBE_GONE", what);
    case 429:
      return new OperatorError("KUBE_THROTTLED", what, { retryAfterMs });
    default:
      return new OperatorError(status >= 500 ? "KUBE_UNAVAILABLE" : "KUBE_BAD_ANSWER", what, {
        retryAfterMs,
      });
  }
}

/** The message of a `v1.Status`, or the start of whatever else came. */
function messageIn(text: string): string {
  try {
    const status: unknown = JSON.parse(text);
    if (typeof status === "object" && status !== null && "message" in status)
      return String(status.message);
  } catch {
    // Not JSON: a proxy answered.
  }
  return text.slice(0, 500);
}

export function createKube({ config, requestTimeoutMs, onAnswer }: KubeSettings): Kube {
  let dispatcher: { readonly value: Dispatcher | undefined; readonly until: number } | undefined;

  async function send(
    method: HttpMethod,
    path: string,
    query: Readonly<Record<string, string | undefined>>,
    body: { readonly type: string; readonly value: unknown } | undefined,
    signal: AbortSignal,
  ): Promise<Awaited<ReturnType<typeof fetch>>> {
    const cluster = config.getCurrentCluster();
    if (cluster === null)
      throw new OperatorError("CONFIG_INVALID", "the kubeconfig names no current cluster");
    const url = new URL(cluster.server.replace(/\/$/, "") + path);
    for (const [key, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(key, value);
    }
    const context = new RequestContext(url.toString(), method);
    try {
      await config.applySecurityAuthentication(context);
      if (dispatcher === undefined || dispatcher.until < performance.now()) {
        dispatcher = {
          value: context.getDispatcher(),
          until: performance.now() + DISPATCHER_LIFETIME_MS,
        };
      }
      const response = await fetch(url, {
        method,
        headers: {
          ...context.getHeaders(),
          accept: "application/json",
          ...(body && { "content-type": body.type }),
        },
        ...(body && { body: JSON.stringify(body.value) }),
        ...(dispatcher.value && { dispatcher: dispatcher.value }),
        redirect: "error",
        signal,
      });
      onAnswer?.(method, response.status);
      if (response.ok) return response;
      const text = (await response.text()).slice(0, 100_000);
      throw errorOf(
        response.status,
        method,
        path,
        messageIn(text),
        response.headers.get("retry-after"),
      );
    } catch (error) {
      if (error instanceof OperatorError) throw error;
      throw unavailable(method, path, error);
    }
  }

  async function json<T>(
    method: HttpMethod,
    path: string,
    query: Readonly<Record<string, string | undefined>>,
    body: { readonly type: string; readonly value: unknown } | undefined,
    signal: AbortSignal,
  ): Promise<T> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]);
    const response = await send(method, path, query, body, bounded);
    try {
      if (Number(response.headers.get("content-length") ?? 0) > MAX_BODY_BYTES) {
        throw new OperatorError(
          "KUBE_BAD_ANSWER",
          `${method} ${path}: the answer is larger than ${MAX_BODY_BYTES} bytes`,
        );
      }
      // The API server checks its objects by their schema.
      return (await response.json()) as T;
    } catch (error) {
      if (error instanceof OperatorError) throw error;
      throw unavailable(method, path, error);
    }
  }

  return {
    async get(kind, namespace, name, signal) {
      try {
        return await json(HttpMethod.GET, pathOf(kind, namespace, name), {}, undefined, signal);
      } catch (error) {
        if (error instanceof OperatorError && error.code === "KUBE_NOT_FOUND") return undefined;
        throw error;
      }
    },

    async list<T extends KubernetesObject>(
      kind: Kind<T>,
      { namespace, labelSelector, maxItems = MAX_ITEMS }: ListOptions,
      signal: AbortSignal,
    ) {
      const items: T[] = [];
      let resourceVersion = "";
      let token: string | undefined;
      do {
        const page: { metadata?: { continue?: string; resourceVersion?: string }; items: T[] } =
          await json(
            HttpMethod.GET,
            pathOf(kind, namespace),
            { labelSelector, limit: String(PAGE), continue: token },
            undefined,
            signal,
          );
        items.push(
          ...page.items.map((item) => ({ ...item, apiVersion: kind.apiVersion, kind: kind.kind })),
        );
        resourceVersion = page.metadata?.resourceVersion ?? "";
        token = page.metadata?.continue === "" ? undefined : page.metadata?.continue;
        if (items.length > maxItems) {
          throw new OperatorError(
            "KUBE_BAD_ANSWER",
            `more than ${maxItems} ${kind.plural}: narrow the namespaces that are watched`,
          );
        }
      } while (token !== undefined);
      return { items, resourceVersion };
    },

    async *watch<T extends KubernetesObject>(
      kind: Kind<T>,
      options: WatchOptions,
      signal: AbortSignal,
    ) {
      const path = pathOf(kind, options.namespace);
      const stalled = new AbortController();
      const bounded = AbortSignal.any([signal, stalled.signal]);
      // Bookmarks come about once a minute, and the server ends the watch by itself: longer silence is a dead connection.
      const silence = Math.max(options.timeoutSeconds * 1000 + 5000, requestTimeoutMs);
      let timer = setTimeout(() => stalled.abort(), silence);
      try {
        const response = await send(
          HttpMethod.GET,
          path,
          {
            watch: "true",
            allowWatchBookmarks: "true",
            resourceVersion: options.resourceVersion,
            timeoutSeconds: String(options.timeoutSeconds),
            labelSelector: options.labelSelector,
          },
          undefined,
          bounded,
        );
        for await (const line of lines(response.body ?? [], path)) {
          clearTimeout(timer);
          timer = setTimeout(() => stalled.abort(), silence);
          yield eventOf<T>(line, path);
        }
      } catch (error) {
        if (error instanceof OperatorError || signal.aborted) throw error;
        throw unavailable("WATCH", path, error);
      } finally {
        clearTimeout(timer);
        stalled.abort();
      }
    },

    apply: (kind, object, { fieldManager, force, subresource }, signal) =>
      json(
        HttpMethod.PATCH,
        pathOf(kind, object.metadata?.namespace, object.metadata?.name ?? "", subresource),
        { fieldManager, force: String(force), fieldValidation: "Strict" },
        {
          type: "application/apply-patch+yaml",
          value: { ...object, apiVersion: kind.apiVersion, kind: kind.kind },
        },
        signal,
      ),

    create: (kind, object, signal) =>
      json(
        HttpMethod.POST,
        pathOf(kind, object.metadata?.namespace),
        {},
        {
          type: "application/json",
          value: { ...object, apiVersion: kind.apiVersion, kind: kind.kind },
        },
        signal,
      ),

    patch: (kind, namespace, name, patch, { subresource }, signal) =>
      json(
        HttpMethod.PATCH,
        pathOf(kind, namespace, name, subresource),
        {},
        { type: "application/merge-patch+json", value: patch },
        signal,
      ),

    replace: (kind, object, signal) =>
      json(
        HttpMethod.PUT,
        pathOf(kind, object.metadata?.namespace, object.metadata?.name ?? ""),
        {},
        {
          type: "application/json",
          value: { ...object, apiVersion: kind.apiVersion, kind: kind.kind },
        },
        signal,
      ),

    async delete(kind, { namespace, name, uid }, signal) {
      try {
        await json(
          HttpMethod.DELETE,
          pathOf(kind, namespace, name),
          {},
          {
            type: "application/json",
            value: {
              apiVersion: "v1",
              kind: "DeleteOptions",
              propagationPolicy: "Background",
              preconditions: { uid },
            },
          },
          signal,
        );
      } catch (error) {
        if (!(error instanceof OperatorError && error.code === "KUBE_NOT_FOUND")) throw error;
      }
    },

    async createToken(namespace, serviceAccount, audience, signal) {
      const kind: Kind = { apiVersion: "v1", kind: "ServiceAccount", plural: "serviceaccounts" };
      const answer: { status?: { token?: string } } = await json(
        HttpMethod.POST,
        pathOf(kind, namespace, serviceAccount, "token"),
        {},
        {
          type: "application/json",
          value: {
            apiVersion: "authentication.k8s.io/v1",
            kind: "TokenRequest",
            spec: { audiences: [audience], expirationSeconds: 3600 },
          },
        },
        signal,
      );
      if (answer.status?.token === undefined) {
        throw new OperatorError(
          "KUBE_BAD_ANSWER",
          `no token came for ServiceAccount ${namespace}/${serviceAccount}`,
        );
      }
      return answer.status.token;
    },
  };
}

function unavailable(method: string, path: string, cause: unknown): OperatorError {
  const detail =
    cause instanceof Error
      ? (cause.cause instanceof Error ? cause.cause : cause).message
      : String(cause);
  return new OperatorError("KUBE_UNAVAILABLE", `${method} ${path}: ${detail}`, { cause });
}

async function* lines(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  path: string,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const parts = rest.split("\n");
    rest = parts.pop() ?? "";
    if (rest.length > MAX_LINE_BYTES)
      throw new OperatorError("KUBE_BAD_ANSWER", `WATCH ${path}: an event is too large`);
    for (const part of parts) if (part.length > 0) yield part;
  }
}

const eventTypes = ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"] as const;

function eventOf<T>(line: string, path: string): WatchEvent<T> {
  const event = JSON.parse(line) as {
    type: string;
    object: T & { code?: number; message?: string };
  };
  const type = eventTypes.find((known) => known === event.type);
  if (type !== undefined) return { type, object: event.object };
  throw errorOf(
    event.object.code ?? 500,
    "WATCH",
    path,
    event.object.message ?? line.slice(0, 200),
    null,
  );
}
