import { backoff, sleep, type Clock } from "../clock.ts";
import { isOperatorError } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import type { Kind, KubernetesObject } from "../kube/types.ts";
import { Indexer, type IndexerOptions } from "./indexer.ts";

/** A copy of a set of objects, kept current by list and watch. It may lag: a decision on a stale copy must be harmless. */
export interface Informer<T extends KubernetesObject> {
  readonly get: (namespace: string, name: string) => T | undefined;
  readonly list: () => IterableIterator<T>;
  /** Objects that the index files under `value`. */
  readonly indexed: (value: string) => readonly T[];
  /** Resolves when the first list is in; rejects when the signal is aborted before. */
  readonly synced: Promise<void>;
  readonly isSynced: () => boolean;
}

export interface InformerOptions<T extends KubernetesObject> extends IndexerOptions<T> {
  readonly kube: Kube;
  readonly kind: Kind<T>;
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly clock: Clock;
  /** The server ends a watch after this, and the next one continues where it ended. */
  readonly watchSeconds?: number;
  /** A watch without any event or bookmark for this long is a dead connection and is opened again. */
  readonly silenceMs?: number;
}

const WATCH_SECONDS = 290;
const BACKOFF = { baseMs: 500, maxMs: 30_000 } as const;
/** A watch that lasted this long resets the back-off. */
const HEALTHY_MS = 10_000;

/** Lists and watches until the signal is aborted. */
export function startInformer<T extends KubernetesObject>(
  options: InformerOptions<T>,
  signal: AbortSignal,
): Informer<T> {
  const { kube, kind, namespace, labelSelector, clock, log } = options;
  const { watchSeconds = WATCH_SECONDS, silenceMs } = options;
  const indexer = new Indexer(options);
  /** The resourceVersion to watch from; undefined when a list is needed. */
  let position: string | undefined;
  let hasList = false;
  const synced = Promise.withResolvers<void>();
  // A caller that does not wait for it need not handle its rejection.
  synced.promise.catch(() => {});

  async function list(): Promise<string> {
    const { items, resourceVersion } = await kube.list(kind, { namespace, labelSelector }, signal);
    indexer.replace(items);
    hasList = true;
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
      if (event.type !== "BOOKMARK") indexer.take(event);
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
        // The server ended it as it should, unless it did so at once.
        if (clock.now() - began >= HEALTHY_MS) {
          failures = 0;
          continue;
        }
      } catch (error) {
        if (signal.aborted) break;
        if (clock.now() - began >= HEALTHY_MS) failures = 0;
        // After a dead connection the watch continues; a list is needed only where the server has compacted its history.
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
    get: (namespace, name) => indexer.get(namespace, name),
    list: () => indexer.list(),
    indexed: (value) => indexer.indexed(value),
    synced: synced.promise,
    isSynced: () => hasList,
  };
}
