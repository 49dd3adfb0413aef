import { backoff, sleep, type Clock } from "../clock.ts";
import { isOperatorError } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import type { Kind, KubernetesObject } from "../kube/types.ts";
import type { Logger } from "../log.ts";

/** A copy of a set of objects, kept current by list and watch. It may lag: whoever reads it must be harmless when it does. */
export interface Informer<T extends KubernetesObject> {
  readonly get: (namespace: string, name: string) => T | undefined;
  readonly list: () => IterableIterator<T>;
  /** Objects that the index files under `value`. */
  readonly indexed: (value: string) => readonly T[];
  readonly synced: Promise<void>;
  readonly isSynced: () => boolean;
}

export interface InformerOptions<T extends KubernetesObject> {
  readonly kube: Kube;
  readonly kind: Kind<T>;
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  /** Files objects under a value, for `indexed`. */
  readonly indexBy?: (object: T) => string | undefined;
  /** Told of every change, with the object as it is now, or as it last was when it is gone. */
  readonly onChange: (object: T) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

const WATCH_SECONDS = 240;
const BACKOFF = { baseMs: 500, maxMs: 30_000 } as const;

function keyOf(object: KubernetesObject): string {
  return `${object.metadata?.namespace ?? ""}/${object.metadata?.name ?? ""}`;
}

/** Lists and watches until the signal is aborted. */
export function startInformer<T extends KubernetesObject>(
  { kube, kind, namespace, labelSelector, indexBy, onChange, clock, log }: InformerOptions<T>,
  signal: AbortSignal,
): Informer<T> {
  const objects = new Map<string, T>();
  const index = new Map<string, Set<string>>();
  let done = false;
  const { promise: synced, resolve: markSynced } = Promise.withResolvers<void>();

  function unindex(key: string, object: T): void {
    const value = indexBy?.(object);
    if (value === undefined) return;
    const keys = index.get(value);
    keys?.delete(key);
    if (keys?.size === 0) index.delete(value);
  }

  function put(object: T): void {
    const key = keyOf(object);
    const before = objects.get(key);
    if (before !== undefined) unindex(key, before);
    objects.set(key, object);
    const value = indexBy?.(object);
    if (value !== undefined) index.set(value, (index.get(value) ?? new Set()).add(key));
    if (before?.metadata?.resourceVersion !== object.metadata?.resourceVersion) onChange(object);
  }

  function remove(object: T): void {
    const key = keyOf(object);
    const before = objects.get(key);
    if (before === undefined) return;
    unindex(key, before);
    objects.delete(key);
    onChange(object);
  }

  async function relist(): Promise<string> {
    const { items, resourceVersion } = await kube.list(kind, { namespace, labelSelector }, signal);
    const present = new Set(items.map(keyOf));
    for (const [key, object] of objects) if (!present.has(key)) remove(object);
    for (const item of items) put(item);
    if (!done) {
      done = true;
      markSynced();
    }
    return resourceVersion;
  }

  /** Watches from a version on, renewing the watch whenever the server ends it; returns when a list is needed. */
  async function follow(from: string): Promise<void> {
    let resourceVersion = from;
    for (;;) {
      const watch = kube.watch(
        kind,
        { namespace, labelSelector, resourceVersion, timeoutSeconds: WATCH_SECONDS },
        signal,
      );
      for await (const { type, object } of watch) {
        resourceVersion = object.metadata?.resourceVersion ?? resourceVersion;
        if (type === "BOOKMARK") continue;
        const typed = { ...object, apiVersion: kind.apiVersion, kind: kind.kind };
        if (type === "DELETED") remove(typed);
        else put(typed);
      }
      if (signal.aborted) return;
    }
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        const version = await relist();
        failures = 0;
        await follow(version);
      } catch (error) {
        if (signal.aborted) return;
        if (isOperatorError(error, "KUBE_GONE")) continue;
        log.warn({ kind: kind.kind, error }, "watch failed, listing again");
        await sleep(clock, backoff(failures, BACKOFF.baseMs, BACKOFF.maxMs, clock.random), signal);
        failures += 1;
      }
    }
  }

  void run();
  return {
    get: (namespace, name) => objects.get(`${namespace}/${name}`),
    list: () => objects.values(),
    indexed: (value) =>
      [...(index.get(value) ?? [])].flatMap((key) => {
        const object = objects.get(key);
        return object === undefined ? [] : [object];
      }),
    synced,
    isSynced: () => done,
  };
}
