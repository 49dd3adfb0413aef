import type { Clock } from "../../clock.ts";
import type { WatchOptions } from "../client.ts";
import type { Kind, KubernetesObject, WatchEvent } from "../types.ts";
import { parseSelector } from "./selector.testing.ts";
import type { Store, StoredEvent } from "./store.testing.ts";

/** The changes after a version, as they come, until the time is up or the signal is aborted. */
export async function* watchStore<T extends KubernetesObject>(
  { store, clock }: { readonly store: Store; readonly clock: Clock },
  kind: Kind<T>,
  { namespace, labelSelector = "", resourceVersion, timeoutSeconds }: WatchOptions,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  signal.throwIfAborted();
  if (!/^[1-9]\d*$/.test(resourceVersion))
    throw new Error(`the fake watches from a version of a list, not from "${resourceVersion}"`);
  const matches = parseSelector(labelSelector);
  let position = Number(resourceVersion);
  let isOver = false;
  let wake = (): void => {};
  const finish = (): void => {
    isOver = true;
    wake();
  };
  const unsubscribe = store.subscribe(() => wake());
  const cancel = clock.after(timeoutSeconds * 1000, finish);
  signal.addEventListener("abort", finish, { once: true });
  try {
    for (;;) {
      const upTo = store.version();
      for (const event of store.since(position)) {
        if (event.plural !== kind.plural) continue;
        if (namespace !== undefined && event.object.metadata?.namespace !== namespace) continue;
        const seen = eventFor<T>(event, matches);
        if (seen !== undefined) yield seen;
        signal.throwIfAborted();
      }
      // More may have come while these were read.
      position = Math.max(position, upTo);
      if (isOver) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (isOver || store.version() > position) resolve();
      });
      signal.throwIfAborted();
    }
    // A bookmark says how far the watch has come.
    const version = { metadata: { resourceVersion: String(position) } };
    yield { type: "BOOKMARK", object: version as unknown as T };
  } finally {
    cancel();
    unsubscribe();
    signal.removeEventListener("abort", finish);
  }
}

/** For a watch with a selector, an object that no longer matches is deleted, and one that begins to match is added. */
function eventFor<T extends KubernetesObject>(
  { type, object, previous }: StoredEvent,
  matches: (object: KubernetesObject) => boolean,
): WatchEvent<T> | undefined {
  const did = previous !== undefined && matches(previous);
  const does = type !== "DELETED" && matches(object);
  if (!did && !does) return undefined;
  const seen = did && does ? "MODIFIED" : does ? "ADDED" : "DELETED";
  return { type: seen, object: object as T };
}
