import { isOperatorError, OperatorError } from "../errors.ts";
import { createTransport, type TransportSettings } from "./transport.ts";
import type { Kind, KubernetesObject, WatchEvent } from "./types.ts";
import { openWatch } from "./watch.ts";

/**
 * The port to the Kubernetes API: what the rest of the operator needs of it, and no more. Everything that goes wrong is
 * an OperatorError with a KUBE_… code, except that an aborted signal's own reason is thrown as it is.
 */
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
  /** Ends when the server ends it; throws KUBE_GONE when the version is too old, KUBE_TIMEOUT when it falls silent. */
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
  /** One of that name is KUBE_CONFLICT. */
  readonly create: <T extends KubernetesObject>(
    kind: Kind<T>,
    object: T,
    signal: AbortSignal,
  ) => Promise<T>;
  /** JSON merge patch; with `metadata.resourceVersion` in it, only of that version. */
  readonly patch: <T extends KubernetesObject>(
    kind: Kind<T>,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    options: { readonly subresource?: "status"; readonly fieldManager?: string },
    signal: AbortSignal,
  ) => Promise<T>;
  /** With `metadata.resourceVersion` set it is a compare-and-swap: KUBE_CONFLICT when the object has changed. */
  readonly replace: <T extends KubernetesObject>(
    kind: Kind<T>,
    object: T,
    options: { readonly subresource?: "status" },
    signal: AbortSignal,
  ) => Promise<T>;
  /** Deletes that very object (by uid); one that is gone already is no error. */
  readonly delete: (
    kind: Kind,
    object: {
      readonly namespace?: string | undefined;
      readonly name: string;
      readonly uid: string;
      /** Only while it is as it was read. */
      readonly resourceVersion?: string;
      readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
    },
    signal: AbortSignal,
  ) => Promise<void>;
  /** A token of a ServiceAccount for an audience (TokenRequest), good for an hour. */
  readonly createToken: (
    namespace: string,
    serviceAccount: string,
    audience: string,
    signal: AbortSignal,
  ) => Promise<string>;
}

export interface ListOptions {
  /** All namespaces when not given. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly maxItems?: number;
  /** "0": as good as any cache of the server's, at once. The newest when not given. */
  readonly resourceVersion?: string;
}

export interface WatchOptions {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly resourceVersion: string;
  /** The server ends the watch after this. */
  readonly timeoutSeconds: number;
  /** Nothing for so long, not even a bookmark, is a dead connection. */
  readonly silenceMs?: number;
}

export interface ApplyOptions {
  readonly fieldManager: string;
  /** Take fields from other managers, rather than fail with KUBE_CONFLICT. */
  readonly force: boolean;
  readonly subresource?: "status";
}

const PAGE = 500;
const MAX_ITEMS = 100_000;
/** Bookmarks come once a minute, give or take. */
const SILENCE_MS = 150_000;
const TOKEN_SECONDS = 3600;

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

function pathOfObject(kind: Kind, { metadata }: KubernetesObject, subresource?: string): string {
  if (metadata?.name === undefined || metadata.name === "") {
    throw new OperatorError("KUBE_INVALID", `a ${kind.kind} to be written has no name`);
  }
  return pathOf(kind, metadata.namespace, metadata.name, subresource);
}

/** Items of a list and objects that we build may lack their own type. */
function typed<T extends KubernetesObject>(kind: Kind<T>, object: T): T {
  return { ...object, apiVersion: kind.apiVersion, kind: kind.kind };
}

interface Page<T> {
  readonly metadata?: { readonly continue?: string; readonly resourceVersion?: string };
  readonly items: readonly T[];
}

export function createKube(settings: TransportSettings): Kube {
  const transport = createTransport(settings);

  return {
    async get(kind, namespace, name, signal) {
      try {
        return await transport.json({ method: "GET", path: pathOf(kind, namespace, name) }, signal);
      } catch (error) {
        if (isOperatorError(error, "KUBE_NOT_FOUND")) return undefined;
        throw error;
      }
    },

    async list<T extends KubernetesObject>(
      kind: Kind<T>,
      { namespace, labelSelector, maxItems = MAX_ITEMS, resourceVersion }: ListOptions,
      signal: AbortSignal,
    ) {
      const items: T[] = [];
      const path = pathOf(kind, namespace);
      const limit = String(PAGE);
      let query: Record<string, string | undefined> = { labelSelector, limit, resourceVersion };
      for (;;) {
        const page = await transport.json<Page<T>>({ method: "GET", path, query }, signal);
        for (const item of page.items) items.push(typed(kind, item));
        if (items.length > maxItems) {
          throw new OperatorError(
            "KUBE_UNEXPECTED_RESPONSE",
            `more than ${maxItems} ${kind.plural}: narrow the namespaces that are watched`,
          );
        }
        const { continue: token = "", resourceVersion = "" } = page.metadata ?? {};
        if (token === "") return { items, resourceVersion };
        query = { labelSelector, limit, continue: token };
      }
    },

    watch: (
      kind,
      { namespace, labelSelector, resourceVersion, timeoutSeconds, silenceMs = SILENCE_MS },
      signal,
    ) =>
      openWatch(
        transport,
        {
          method: "GET",
          path: pathOf(kind, namespace),
          query: {
            watch: "true",
            allowWatchBookmarks: "true",
            resourceVersion,
            timeoutSeconds: String(timeoutSeconds),
            labelSelector,
          },
        },
        silenceMs,
        signal,
      ),

    apply: async (kind, object, { fieldManager, force, subresource }, signal) =>
      transport.json(
        {
          method: "PATCH",
          path: pathOfObject(kind, object, subresource),
          query: { fieldManager, force: String(force), fieldValidation: "Strict" },
          body: { type: "application/apply-patch+yaml", value: typed(kind, object) },
        },
        signal,
      ),

    create: (kind, object, signal) =>
      transport.json(
        {
          method: "POST",
          path: pathOf(kind, object.metadata?.namespace),
          body: { type: "application/json", value: typed(kind, object) },
        },
        signal,
      ),

    patch: (kind, namespace, name, patch, { subresource, fieldManager }, signal) =>
      transport.json(
        {
          method: "PATCH",
          path: pathOf(kind, namespace, name, subresource),
          query: { fieldManager },
          body: { type: "application/merge-patch+json", value: patch },
        },
        signal,
      ),

    replace: async (kind, object, { subresource }, signal) =>
      transport.json(
        {
          method: "PUT",
          path: pathOfObject(kind, object, subresource),
          body: { type: "application/json", value: typed(kind, object) },
        },
        signal,
      ),

    async delete(
      kind,
      { namespace, name, uid, resourceVersion, propagationPolicy = "Background" },
      signal,
    ) {
      const value = {
        apiVersion: "v1",
        kind: "DeleteOptions",
        propagationPolicy,
        preconditions: { uid, resourceVersion },
      };
      try {
        await transport.json(
          {
            method: "DELETE",
            path: pathOf(kind, namespace, name),
            body: { type: "application/json", value },
          },
          signal,
        );
      } catch (error) {
        if (!isOperatorError(error, "KUBE_NOT_FOUND")) throw error;
      }
    },

    async createToken(namespace, serviceAccount, audience, signal) {
      const kind: Kind = { apiVersion: "v1", kind: "ServiceAccount", plural: "serviceaccounts" };
      const value = {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { audiences: [audience], expirationSeconds: TOKEN_SECONDS },
      };
      const answer = await transport.json<{ status?: { token?: string } }>(
        {
          method: "POST",
          path: pathOf(kind, namespace, serviceAccount, "token"),
          body: { type: "application/json", value },
        },
        signal,
      );
      if (answer.status?.token === undefined) {
        throw new OperatorError(
          "KUBE_UNEXPECTED_RESPONSE",
          `no token came for ServiceAccount ${namespace}/${serviceAccount}`,
        );
      }
      return answer.status.token;
    },
  };
}
