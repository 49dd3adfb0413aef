import { OperatorError } from "../../errors.ts";
import type { Kind, KubernetesObject, WatchEvent } from "../types.ts";
import type { JsonObject } from "./json.testing.ts";
import type { Managers } from "./managed-fields.testing.ts";

/** An object as it is stored, with what is decoded of it. */
export interface Stored {
  readonly object: JsonObject;
  readonly managers: Managers;
}

export interface StoredEvent {
  readonly version: number;
  readonly plural: string;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubernetesObject;
  readonly previous: KubernetesObject | undefined;
}

/** Objects in the order of their keys, and every change of them since the last compaction. */
export interface Store {
  readonly version: () => number;
  readonly get: (kind: Kind, key: string) => Stored | undefined;
  readonly all: (kind: Kind) => readonly JsonObject[];
  /** The next version, for an object that is about to be put. */
  readonly nextVersion: () => string;
  readonly put: (kind: Kind, key: string, stored: Stored) => void;
  readonly remove: (kind: Kind, key: string, last: JsonObject) => void;
  /** The changes after a version. Throws KUBE_GONE when some of them are forgotten. */
  readonly since: (version: number) => readonly StoredEvent[];
  /** Forgets all changes until now. */
  readonly compact: () => void;
  /** Calls back after each change; the returned function ends that. */
  readonly subscribe: (onChange: () => void) => () => void;
}

/** Versions of a new store are larger than any that a test might make up. */
const FIRST_VERSION = 1000;

/** The API server holds its objects to their schema. */
export function asKubernetes(object: JsonObject): KubernetesObject {
  return object;
}

export function createStore(): Store {
  const objects = new Map<string, Map<string, Stored>>();
  /** By plural name; of those that have not changed since they were listed. */
  const sorted = new Map<string, readonly JsonObject[]>();
  const listeners = new Set<() => void>();
  let events: StoredEvent[] = [];
  let version = FIRST_VERSION;
  let compacted = FIRST_VERSION;

  function ofKind({ plural }: Kind): Map<string, Stored> {
    let map = objects.get(plural);
    if (map === undefined) objects.set(plural, (map = new Map()));
    return map;
  }

  function changed(
    kind: Kind,
    type: Exclude<WatchEvent<unknown>["type"], "BOOKMARK">,
    object: JsonObject,
    previous: Stored | undefined,
  ): void {
    events.push({
      version,
      plural: kind.plural,
      type,
      object: asKubernetes(object),
      previous: previous && asKubernetes(previous.object),
    });
    sorted.delete(kind.plural);
    for (const listener of listeners) listener();
  }

  return {
    version: () => version,
    get: (kind, key) => ofKind(kind).get(key),
    all: (kind) => {
      let all = sorted.get(kind.plural);
      if (all === undefined) {
        all = [...ofKind(kind)]
          .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
          .map(([, { object }]) => object);
        sorted.set(kind.plural, all);
      }
      return all;
    },
    nextVersion: () => String((version += 1)),
    put: (kind, key, stored) => {
      const previous = ofKind(kind).get(key);
      ofKind(kind).set(key, stored);
      changed(kind, previous === undefined ? "ADDED" : "MODIFIED", stored.object, previous);
    },
    remove: (kind, key, last) => {
      const previous = ofKind(kind).get(key);
      ofKind(kind).delete(key);
      changed(kind, "DELETED", last, previous);
    },
    since: (from) => {
      if (from < compacted) {
        throw new OperatorError("KUBE_GONE", `too old resource version: ${from} (${compacted})`);
      }
      const first = events.findLastIndex((event) => event.version <= from) + 1;
      return events.slice(first);
    },
    compact: () => {
      compacted = version;
      events = [];
    },
    subscribe: (onChange) => {
      listeners.add(onChange);
      return () => void listeners.delete(onChange);
    },
  };
}
