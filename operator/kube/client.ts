import { isOperatorError } from "../errors.ts";
import { listObjects, type List } from "./list.ts";
import { pathOf } from "./path.ts";
import { asUser, createTransport, type Transport, type TransportSettings } from "./transport.ts";
import type { Kind, KubernetesObject, WatchEvent } from "./types.ts";
import { openWatch } from "./watch.ts";
import {
  applyObject,
  createObject,
  deleteObject,
  patchObject,
  replaceObject,
  requestToken,
} from "./write.ts";

/**
 * The port to the Kubernetes API: what the operator needs of it, and no more. Every failure is an OperatorError with a
 * KUBE_… code, except that an aborted signal's own reason is thrown as it is.
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
  ) => Promise<List<T>>;
  /** Ends when the server ends it; throws KUBE_GONE when the version is too old, KUBE_TIMEOUT when it falls silent. */
  readonly watch: <T extends KubernetesObject>(
    kind: Kind<T>,
    options: WatchOptions,
    signal: AbortSignal,
  ) => AsyncIterable<WatchEvent<T>>;
  /**
   * Server-side apply. With `metadata.uid` set it changes that very object or fails with KUBE_CONFLICT, with
   * `metadata.resourceVersion` that version of an object that exists; it creates one that does not.
   */
  readonly apply: <T extends KubernetesObject>(
    kind: Kind<T>,
    object: T,
    options: ApplyOptions,
    signal: AbortSignal,
  ) => Promise<T>;
  /** Throws KUBE_CONFLICT when an object of that name exists. */
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
    options: PatchOptions,
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
  readonly delete: (kind: Kind, target: DeleteTarget, signal: AbortSignal) => Promise<void>;
  /** A token of a ServiceAccount for an audience (TokenRequest), valid for an hour. */
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
  /** Such as `involvedObject.uid=…` of events: each kind knows a few fields. */
  readonly fieldSelector?: string | undefined;
  readonly maxItems?: number;
  /** "0": whatever the server has cached, at once. The newest when not given. */
  readonly resourceVersion?: string;
}

export interface WatchOptions {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly resourceVersion: string;
  /** The server ends the watch after this. */
  readonly timeoutSeconds: number;
  /** A connection without any event for so long, not even a bookmark, is dead. */
  readonly silenceMs?: number;
}

export interface ApplyOptions {
  readonly fieldManager: string;
  /** Take fields from other managers, rather than fail with KUBE_CONFLICT. */
  readonly force: boolean;
  readonly subresource?: "status";
}

export interface PatchOptions {
  readonly subresource?: "status";
  readonly fieldManager?: string;
}

export interface DeleteTarget {
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly uid: string;
  /** Only while the object is of this version. */
  readonly resourceVersion?: string;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
}

/** Bookmarks come about once a minute. */
const SILENCE_MS = 150_000;

export function createKube(settings: TransportSettings): Kube {
  return createClients(settings).kube;
}

export interface Clients {
  /** With the kubeconfig's own identity. */
  readonly kube: Kube;
  /** The same connections as another user, such as `system:serviceaccount:shop:scoring`, by impersonation. */
  readonly kubeAs: (user: string) => Kube;
}

export function createClients(settings: TransportSettings): Clients {
  const transport = createTransport(settings);
  return { kube: kubeOver(transport), kubeAs: (user) => kubeOver(asUser(transport, user)) };
}

export function kubeOver(transport: Transport): Kube {
  return {
    get: (kind, namespace, name, signal) => getObject(transport, kind, namespace, name, signal),
    list: (kind, options, signal) => listObjects(transport, kind, options, signal),
    watch: (kind, options, signal) => watchObjects(transport, kind, options, signal),
    apply: (kind, object, options, signal) => applyObject(transport, kind, object, options, signal),
    create: (kind, object, signal) => createObject(transport, kind, object, signal),
    patch: (kind, namespace, name, patch, options, signal) =>
      patchObject(
        transport,
        pathOf(kind, namespace, name, options.subresource),
        patch,
        options,
        signal,
      ),
    replace: (kind, object, { subresource }, signal) =>
      replaceObject(transport, kind, object, subresource, signal),
    delete: (kind, target, signal) => deleteObject(transport, kind, target, signal),
    createToken: (namespace, serviceAccount, audience, signal) =>
      requestToken(transport, namespace, serviceAccount, audience, signal),
  };
}

async function getObject<T extends KubernetesObject>(
  transport: Transport,
  kind: Kind<T>,
  namespace: string | undefined,
  name: string,
  signal: AbortSignal,
): Promise<T | undefined> {
  try {
    return await transport.json({ method: "GET", path: pathOf(kind, namespace, name) }, signal);
  } catch (error) {
    if (isOperatorError(error, "KUBE_NOT_FOUND")) return undefined;
    throw error;
  }
}

function watchObjects<T extends KubernetesObject>(
  transport: Transport,
  kind: Kind<T>,
  options: WatchOptions,
  signal: AbortSignal,
): AsyncIterable<WatchEvent<T>> {
  const { namespace, labelSelector, resourceVersion, timeoutSeconds } = options;
  const query = {
    watch: "true",
    allowWatchBookmarks: "true",
    resourceVersion,
    timeoutSeconds: String(timeoutSeconds),
    labelSelector,
  };
  const request = { method: "GET", path: pathOf(kind, namespace), query } as const;
  return openWatch(transport, request, options.silenceMs ?? SILENCE_MS, signal);
}
