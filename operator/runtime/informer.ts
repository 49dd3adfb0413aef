import { backoff, sleep, type Clock } from "../clock.ts";
import { isOperatorError } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import type { Kind, KubernetesObject, WatchEvent } from "../kube/types.ts";
import type { Logger } from "../log.ts";
import { keyOf } from "./key.ts";

/** A copy of a set of objects, kept current by list and watch. It may lag: whoever reads it must be harmless when it does. */
export interface Informer<T extends KubernetesObject> {
  readonly get: (namespace: string, name: string) => T | undefined;
  readonly list: () => IterableIterator<T>;
  /** Objects that the index files under `value`. */
  readonly indexed: (value: string) => readonly T[];
  /** Resolves when the first list is in; rejects when the signal is aborted before. */
  readonly synced: Promise<void>;
  readonly isSynced: () => boolean;
}

export interface Change<T> {
  /** The object as it was before; undefined when it is new. */
  readonly previous: T | undefined;
  /** Whether it is gone now. */
  readonly gone: boolean;
}

export interface InformerOptions<T extends KubernetesObject> {
  readonly kube: Kube;
  readonly kind: Kind<T>;
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  /** Files objects under a value, for `indexed`. */
  readonly indexBy?: (object: T) => string | undefined;
  /** Who owns which field is half of an object's size: forgotten, unless somebody reads it. */
  readonly keepManagedFields?: boolean;
  /** Told of every change, after the cache has it, with the object as it is now, or as it last was when it is gone. */
  readonly onChange: (object: T, change: Change<T>) => void;
  readonly clock: Clock;
  readonly log: Logger;
  /** The server ends a watch after this, and the next one goes on where it ended. */
  readonly watchSeconds?: number;
  /** A watch on which nothing comes for so long is taken for dead and opened anew. */
  readonly silenceMs?: number;
}

const WATCH_SECONDS = 290;
const BACKOFF = { baseMs: 500, maxMs: 30_000 } as const;
/** A watch that lived this long was a good one: the next failure is a first one again. */
const HEALTHY_MS = 10_000;

/** Lists and watches until the signal is aborted. */
export function startInformer<T extends KubernetesObject>(
  options: InformerOptions<T>,
  signal: AbortSignal,
): Informer<T> {
  const { kube, kind, namespace, labelSelector, clock, log } = options;
  const { watchSeconds = WATCH_SECONDS, silenceMs } = options;
  const cache = createCache(options);
  /** Where to go on watching; undefined when a list is needed. */
  let position: string | undefined;
  let done = false;
  const synced = Promise.withResolvers<void>();
  // Whoever does not wait for it need not handle it.
  synced.promise.catch(() => {});

  async function list(): Promise<string> {
    const { items, resourceVersion } = await kube.list(kind, { namespace, labelSelector }, signal);
    cache.replace(items);
    done = true;
    synced.resolve();
    return resourceVersion;
  }

  async function watch(from: string): Promise<void> {
    const events = kube.watch(
      kind,
      {
        namespace,
        labelSelector,
        resourceVersion: from,
        timeoutSeconds: watchSeconds,
        ...(silenceMs !== undefined && { silenceMs }),
      },
      signal,
    );
    for await (const event of events) {
      if (signal.aborted) return;
      if (event.type !== "BOOKMARK") cache.take(event);
      position = event.object.metadata?.resourceVersion ?? position;
    }
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const began = clock.now();
      try {
        position ??= await list();
        await watch(position);
        // It ended as it should; at once, though, is no way to end.
        if (clock.now() - began >= HEALTHY_MS) {
          failures = 0;
          continue;
        }
      } catch (error) {
        if (signal.aborted) break;
        if (clock.now() - began >= HEALTHY_MS) failures = 0;
        // A dead connection loses nothing: only what the server has forgotten must be listed again.
        if (!isOperatorError(error, "KUBE_UNAVAILABLE", "KUBE_TIMEOUT", "KUBE_THROTTLED")) {
          position = undefined;
        }
        if (!isOperatorError(error, "KUBE_GONE")) {
          log.warn({ kind: kind.kind, error }, "list or watch failed, trying again");
        }
      }
      await sleep(clock, backoff(failures, BACKOFF.baseMs, BACKOFF.maxMs, clock.random), signal);
      failures += 1;
    }
    synced.reject(signal.reason);
  }

  void run();
  return {
    get: (namespace, name) => cache.objects.get(`${namespace}/${name}`),
    list: () => cache.objects.values(),
    indexed: cache.indexed,
    synced: synced.promise,
    isSynced: () => done,
  };
}

interface Cache<T> {
  readonly objects: ReadonlyMap<string, T>;
  readonly indexed: (value: string) => readonly T[];
  /** What a list gave is all that there is. */
  readonly replace: (items: readonly T[]) => void;
  readonly take: (event: WatchEvent<T>) => void;
}

function slim<T extends KubernetesObject>(object: T): T {
  if (object.metadata?.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function createCache<T extends KubernetesObject>({
  kind,
  indexBy,
  keepManagedFields = false,
  onChange,
  log,
}: InformerOptions<T>): Cache<T> {
  const objects = new Map<string, T>();
  const index = new Map<string, Set<string>>();

  function notify(object: T, change: Change<T>): void {
    try {
      onChange(object, change);
    } catch (error) {
      // The top of a callback: what a listener does wrong must not end the watch.
      log.error({ kind: kind.kind, error }, "handling a change failed");
    }
  }

  function unindex(key: string, object: T): void {
    const value = indexBy?.(object);
    if (value === undefined) return;
    const keys = index.get(value);
    keys?.delete(key);
    if (keys?.size === 0) index.delete(value);
  }

  function put(raw: T): void {
    const object = keepManagedFields ? raw : slim(raw);
    const key = keyOf(object);
    const previous = objects.get(key);
    if (previous !== undefined) unindex(key, previous);
    objects.set(key, object);
    const value = indexBy?.(object);
    if (value !== undefined) index.set(value, (index.get(value) ?? new Set()).add(key));
    if (previous?.metadata?.resourceVersion !== object.metadata?.resourceVersion) {
      notify(object, { previous, gone: false });
    }
  }

  function remove(object: T): void {
    const key = keyOf(object);
    const previous = objects.get(key);
    if (previous === undefined) return;
    unindex(key, previous);
    objects.delete(key);
    notify(previous, { previous, gone: true });
  }

  return {
    objects,
    indexed: (value) =>
      [...(index.get(value) ?? [])].flatMap((key) => {
        const object = objects.get(key);
        return object === undefined ? [] : [object];
      }),
    replace(items) {
      const present = new Set(items.map(keyOf));
      for (const [key, object] of objects) if (!present.has(key)) remove(object);
      for (const item of items) put(item);
    },
    take({ type, object }) {
      if (type === "DELETED") remove(object);
      else put(object);
    },
  };
}
