import type { KubernetesObject, WatchEvent } from "../kube/types.ts";
import type { Logger } from "../log.ts";
import { keyOf } from "./key.ts";

export interface Change<T> {
  /** The object as it was before; undefined when it is new. */
  readonly previous: T | undefined;
  /** Whether the object was deleted. */
  readonly gone: boolean;
  /** Whether the object was in the first list, and is no news. */
  readonly initial: boolean;
}

export interface IndexerOptions<T extends KubernetesObject> {
  readonly kind: { readonly kind: string };
  /**
   * What is stored of an object: a projection to what is read of it keeps the memory small. It keeps namespace, name and
   * resourceVersion. Without one, managedFields are dropped.
   */
  readonly transform?: ((object: T) => T) | undefined;
  /** Files objects under a value, for `indexed`. */
  readonly indexBy?: ((object: T) => string | undefined) | undefined;
  /** Called after each change, with the object as it is stored, or as it was when it is gone. */
  readonly onChange: (object: T, change: Change<T>) => void;
  readonly log: Logger;
}

/** Objects by namespace and name, and by an index. */
export class Indexer<T extends KubernetesObject> {
  readonly #options: IndexerOptions<T>;
  readonly #transform: (object: T) => T;
  readonly #objects = new Map<string, T>();
  readonly #index = new Map<string, Set<string>>();
  #hasList = false;

  constructor(options: IndexerOptions<T>) {
    this.#options = options;
    this.#transform = options.transform ?? dropManagedFields;
  }

  get(namespace: string, name: string): T | undefined {
    return this.#objects.get(`${namespace}/${name}`);
  }

  list(): IterableIterator<T> {
    return this.#objects.values();
  }

  indexed(value: string): readonly T[] {
    return [...(this.#index.get(value) ?? [])].flatMap((key) => this.#objects.get(key) ?? []);
  }

  /** Takes a list: what is not in it is gone. */
  replace(items: readonly T[]): void {
    const present = new Set(items.map(keyOf));
    for (const [key, object] of this.#objects) if (!present.has(key)) this.#remove(object);
    for (const item of items) this.#put(item);
    this.#hasList = true;
  }

  take({ type, object }: WatchEvent<T>): void {
    if (type === "DELETED") this.#remove(object);
    else this.#put(object);
  }

  #put(whole: T): void {
    const object = this.#transform(whole);
    const key = keyOf(object);
    const previous = this.#objects.get(key);
    if (previous !== undefined) this.#unindex(key, previous);
    this.#objects.set(key, object);
    const value = this.#options.indexBy?.(object);
    if (value !== undefined) {
      const keys = this.#index.get(value) ?? new Set();
      this.#index.set(value, keys.add(key));
    }
    if (previous?.metadata?.resourceVersion !== object.metadata?.resourceVersion)
      this.#notify(object, { previous, gone: false, initial: !this.#hasList });
  }

  #remove(object: T): void {
    const key = keyOf(object);
    const previous = this.#objects.get(key);
    if (previous === undefined) return;
    this.#unindex(key, previous);
    this.#objects.delete(key);
    this.#notify(previous, { previous, gone: true, initial: false });
  }

  #unindex(key: string, object: T): void {
    const value = this.#options.indexBy?.(object);
    if (value === undefined) return;
    const keys = this.#index.get(value);
    keys?.delete(key);
    if (keys?.size === 0) this.#index.delete(value);
  }

  #notify(object: T, change: Change<T>): void {
    const { onChange, kind, log } = this.#options;
    try {
      onChange(object, change);
    } catch (error) {
      // The top of a callback: an error in a listener must not end the watch.
      log.error({ kind: kind.kind, error }, "handling a change failed");
    }
  }
}

/** managedFields are half of an object's size. */
export function dropManagedFields<T extends KubernetesObject>(object: T): T {
  if (object.metadata?.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
