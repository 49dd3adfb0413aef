import type { Kube, ListOptions } from "./client.ts";
import type { Kind, KubernetesObject, WatchEvent } from "./types.ts";

/**
 * A copy of objects as an informer keeps it, which a test keeps behind: events wait until they are delivered, one by
 * one, and one may be lost. What reads it must be harmless while it lags.
 */
export interface StaleView<T extends KubernetesObject> {
  readonly get: (namespace: string, name: string) => T | undefined;
  readonly indexed: (value: string) => readonly T[];
  readonly all: () => Iterable<T>;
  /** How many events wait. */
  readonly pending: () => number;
  /** Delivers events that wait, oldest first: so many, or all. Returns the objects that they are about. */
  readonly deliver: (count?: number) => readonly T[];
  /** Delivers all but the newest ones: the view lags by so many events. */
  readonly lagBy: (events: number) => void;
  /** Loses the oldest event that waits. */
  readonly miss: () => void;
  /** Lists again, as an informer does after KUBE_GONE: nothing waits, nothing is missing. */
  readonly relist: () => Promise<void>;
  /** Ends the watch. */
  readonly close: () => Promise<void>;
}

export interface StaleViewOptions<T extends KubernetesObject> extends Pick<
  ListOptions,
  "namespace" | "labelSelector"
> {
  readonly indexBy?: (object: T) => string | undefined;
  /** What the view keeps of an object. All of it when not given. */
  readonly keep?: (object: T) => T;
}

type Change<T> = Pick<WatchEvent<T>, "type" | "object">;

const WATCH_SECONDS = 1_000_000;

export async function openStaleView<T extends KubernetesObject>(
  kube: Kube,
  kind: Kind<T>,
  { indexBy, keep = (object) => object, ...selection }: StaleViewOptions<T> = {},
): Promise<StaleView<T>> {
  const objects = new Map<string, T>();
  let waiting: Change<T>[] = [];
  let watching: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;

  function take({ type, object }: Change<T>): void {
    const { namespace = "", name = "" } = object.metadata ?? {};
    const key = `${namespace}/${name}`;
    if (type === "DELETED") objects.delete(key);
    else objects.set(key, keep(object));
  }

  async function watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const options = { ...selection, resourceVersion, timeoutSeconds: WATCH_SECONDS };
    try {
      for await (const event of kube.watch(kind, options, signal)) {
        if (event.type !== "BOOKMARK") waiting.push(event);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async function close(): Promise<void> {
    watching?.stop.abort();
    await watching?.ended;
  }

  async function relist(): Promise<void> {
    await close();
    const stop = new AbortController();
    const { items, resourceVersion } = await kube.list(kind, selection, stop.signal);
    waiting = [];
    objects.clear();
    for (const object of items) take({ type: "ADDED", object });
    watching = { stop, ended: watch(resourceVersion, stop.signal) };
  }

  function deliver(count = waiting.length): readonly T[] {
    const changes = waiting.splice(0, count);
    for (const change of changes) take(change);
    return changes.map(({ object }) => object);
  }

  await relist();
  return {
    get: (namespace, name) => objects.get(`${namespace}/${name}`),
    indexed: (value) => [...objects.values()].filter((object) => indexBy?.(object) === value),
    all: () => objects.values(),
    pending: () => waiting.length,
    deliver,
    lagBy: (events) => void deliver(Math.max(0, waiting.length - events)),
    miss: () => void waiting.shift(),
    relist,
    close,
  };
}
