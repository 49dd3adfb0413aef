import { splitKey } from "./key.ts";

/**
 * What is worked on first, highest first: a request of a user, a rollout that has progressed (what has begun is finished
 * before more begins), a pair that may be released, another change of an owned object, the first reconcile of an app and
 * the periodic resync, and last a key that failed.
 */
export const priorities = ["user", "rollout", "release", "default", "background", "retry"] as const;
export type Priority = (typeof priorities)[number];

/** The higher of two priorities. */
export function higher(a: Priority, b: Priority): Priority {
  return priorities.indexOf(a) <= priorities.indexOf(b) ? a : b;
}

/** One pick in so many goes to the key that has waited longest: no priority starves another. */
export const FAIR_PICK = 10;
/**
 * One in so many goes to the namespace whose last pick is the longest ago, whatever the priority of its keys: a namespace
 * with a thousand urgent keys does not delay the one key of another.
 */
export const NAMESPACE_PICK = 4;

export interface PendingKey {
  readonly key: string;
  readonly priority: Priority;
  /** When it was first added. Milliseconds. */
  readonly since: number;
}

export interface PendingSummary {
  readonly size: number;
  /** When the key that has waited longest was added; undefined when none waits. Milliseconds. */
  readonly oldest: number | undefined;
}

/**
 * The keys that wait for a worker, each once. Taken by priority; inside a priority the namespaces take turns, and inside
 * a namespace the order is that of arrival, so that a tenant with thousands of apps does not delay one with five. Every
 * fourth pick is a namespace's turn over all priorities.
 */
export class PendingKeys {
  /** In the order of arrival: a key that is raised keeps its place here. */
  readonly #keys = new Map<string, PendingKey>();
  /** Keys by priority and namespace. A Map keeps its order: the first namespace is the one whose turn is next. */
  readonly #turns = new Map(
    priorities.map((priority) => [priority, new Map<string, Set<string>>()]),
  );
  /** How many keys of each namespace wait. The first one is the one whose last pick is the longest ago. */
  readonly #namespaces = new Map<string, number>();
  #picks = 0;

  get size(): number {
    return this.#keys.size;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** Adds a key, or raises one that waits; never lowers one. */
  add(key: string, priority: Priority, now: number): void {
    const present = this.#keys.get(key);
    if (present !== undefined) {
      if (higher(present.priority, priority) === present.priority) return;
      this.#leave(present, { turnIsOver: false });
    }
    this.#keys.set(key, { key, priority, since: present?.since ?? now });
    const turns = this.#turns.get(priority);
    const { namespace } = splitKey(key);
    if (present === undefined)
      this.#namespaces.set(namespace, (this.#namespaces.get(namespace) ?? 0) + 1);
    const keys = turns?.get(namespace);
    if (keys === undefined) turns?.set(namespace, new Set([key]));
    else keys.add(key);
  }

  /** Removes and returns the next key; undefined when none waits. */
  take(): PendingKey | undefined {
    this.#picks += 1;
    const next = this.#next();
    if (next === undefined) return undefined;
    this.#keys.delete(next.key);
    this.#leave(next, { turnIsOver: true });
    const { namespace } = splitKey(next.key);
    const left = (this.#namespaces.get(namespace) ?? 1) - 1;
    this.#namespaces.delete(namespace);
    if (left > 0) this.#namespaces.set(namespace, left);
    return next;
  }

  #next(): PendingKey | undefined {
    if (this.#picks % FAIR_PICK === 0) return this.#oldest();
    return this.#picks % NAMESPACE_PICK === 0 ? this.#ofNextNamespace() : this.#first();
  }

  clear(): void {
    this.#keys.clear();
    for (const turns of this.#turns.values()) turns.clear();
    this.#namespaces.clear();
  }

  summarize(): ReadonlyMap<Priority, PendingSummary> {
    const summary = new Map<Priority, PendingSummary>(
      priorities.map((priority) => [priority, { size: 0, oldest: undefined }]),
    );
    for (const { priority, since } of this.#keys.values()) {
      const { size = 0, oldest } = summary.get(priority) ?? {};
      summary.set(priority, { size: size + 1, oldest: Math.min(oldest ?? since, since) });
    }
    return summary;
  }

  #first(): PendingKey | undefined {
    for (const turns of this.#turns.values()) {
      for (const keys of turns.values()) for (const key of keys) return this.#keys.get(key);
    }
    return undefined;
  }

  /** Its key of the highest priority. */
  #ofNextNamespace(): PendingKey | undefined {
    const [namespace = ""] = this.#namespaces.keys();
    for (const turns of this.#turns.values()) {
      for (const key of turns.get(namespace) ?? []) return this.#keys.get(key);
    }
    return undefined;
  }

  #oldest(): PendingKey | undefined {
    const [oldest] = this.#keys.values();
    return oldest;
  }

  #leave({ key, priority }: PendingKey, { turnIsOver }: { readonly turnIsOver: boolean }): void {
    const turns = this.#turns.get(priority);
    const { namespace } = splitKey(key);
    const keys = turns?.get(namespace);
    if (turns === undefined || keys === undefined) return;
    keys.delete(key);
    if (turnIsOver || keys.size === 0) turns.delete(namespace);
    if (turnIsOver && keys.size > 0) turns.set(namespace, keys);
  }
}
