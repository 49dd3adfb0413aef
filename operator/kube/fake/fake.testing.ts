import type { Clock } from "../../clock.ts";
import { OperatorError } from "../../errors.ts";
import type { ApplyOptions, Kube, ListOptions } from "../client.ts";
import type { Kind, KubernetesObject } from "../types.ts";
import { mergePatch } from "./merge-patch.testing.ts";
import {
  deepFreeze,
  equals,
  isList,
  objectAt,
  textAt,
  toJsonObject,
  withMember,
  type JsonObject,
} from "./json.testing.ts";
import { applyConfiguration, trackUpdate, type Managers } from "./managed-fields.testing.ts";
import { resourceType, type ResourceType } from "./schema.testing.ts";
import { parseFieldSelector, parseSelector } from "./selector.testing.ts";
import { asKubernetes, createStore, type Store, type Stored } from "./store.testing.ts";
import { strategyOf, type Strategy } from "./strategy.testing.ts";
import { check, pruneUnknown } from "./typed.testing.ts";
import { watchStore } from "./watch.testing.ts";
import { createWrites, writerOf, type Writes } from "./writes.testing.ts";

/**
 * A Kubernetes API in memory, for unit tests. The contract suite runs on it and on a real API server; what the suite
 * does not cover it refuses with a plain Error, rather than guess. Objects that it gives out are frozen. There are no
 * controllers: nothing makes ReplicaSets or pods, and `collectGarbage` deletes what owners left behind. CEL rules and
 * admission webhooks are the real API server's alone.
 */
export interface FakeKube extends Kube {
  /** Forgets the past: watches that go on from a version before this get KUBE_GONE. */
  readonly compact: () => void;
  /** Grows with each change. */
  readonly version: () => number;
}

export interface FakeOptions {
  readonly clock: Clock;
  /** The namespaces that exist. */
  readonly namespaces?: readonly string[];
}

/** The name of the client in `managedFields` of creates, replaces and patches. */
const CLIENT = "undici";
const MAX_ITEMS = 100_000;

export function createFakeKube({ clock, namespaces = ["default"] }: FakeOptions): FakeKube {
  const api = new FakeApi(clock, new Set(namespaces));
  return {
    // Each is a request of its own: it takes effect before the caller goes on, but the response comes later.
    get: async (kind, namespace, name, signal) => {
      signal.throwIfAborted();
      const object = api.get(kind, namespace, name)?.object;
      return object && asKind(kind, object);
    },
    list: async (kind, options, signal) => {
      signal.throwIfAborted();
      return api.list(kind, options);
    },
    watch: (kind, options, signal) => watchStore(api, kind, options, signal),
    apply: async (kind, object, options, signal) => {
      signal.throwIfAborted();
      return asKind(kind, api.apply(kind, toJsonObject(object), options));
    },
    create: async (kind, object, signal) => {
      signal.throwIfAborted();
      return asKind(kind, api.create(kind, toJsonObject(object)));
    },
    patch: async (kind, namespace, name, patch, options, signal) => {
      signal.throwIfAborted();
      return asKind(kind, api.patch(kind, namespace, name, patch, options));
    },
    replace: async (kind, object, options, signal) => {
      signal.throwIfAborted();
      return asKind(kind, api.replace(kind, toJsonObject(object), options.subresource));
    },
    delete: async (kind, object, signal) => {
      signal.throwIfAborted();
      api.delete(kind, object);
    },
    createToken: async (namespace, serviceAccount, audience, signal) => {
      signal.throwIfAborted();
      return api.createToken(namespace, serviceAccount, audience);
    },
    compact: () => api.store.compact(),
    version: () => api.store.version(),
  };
}

/** The fake holds its objects to their schema. */
function asKind<T extends KubernetesObject>(_: Kind<T>, object: JsonObject): T {
  return asKubernetes(object) as T;
}

interface Place {
  readonly namespace: string;
  readonly name: string;
  readonly key: string;
}

class FakeApi {
  readonly store: Store = createStore();
  readonly clock: Clock;
  readonly #namespaces: ReadonlySet<string>;
  readonly #writes: Writes;
  #addresses = 0;
  #nodePorts = 30_000;
  #tokens = 0;

  constructor(clock: Clock, namespaces: ReadonlySet<string>) {
    this.clock = clock;
    this.#namespaces = namespaces;
    this.#writes = createWrites({
      store: this.store,
      clock,
      allotment: {
        address: () => `10.0.0.${(this.#addresses += 1)}`,
        nodePort: () => (this.#nodePorts += 1),
      },
    });
  }

  get(kind: Kind, namespace: string | undefined, name: string): Stored | undefined {
    return this.store.get(kind, `${namespace ?? ""}/${name}`);
  }

  list<T extends KubernetesObject>(
    kind: Kind<T>,
    { namespace, labelSelector = "", fieldSelector = "", maxItems = MAX_ITEMS }: ListOptions,
  ): { readonly items: readonly T[]; readonly resourceVersion: string } {
    const matches = parseSelector(labelSelector);
    const hasFields = parseFieldSelector(fieldSelector);
    const items = this.store
      .all(kind)
      .map((object) => asKind(kind, object))
      .filter(
        (object) =>
          (namespace === undefined || object.metadata?.namespace === namespace) &&
          matches(object) &&
          hasFields(object),
      );
    if (items.length > maxItems) {
      throw new OperatorError("KUBE_UNEXPECTED_RESPONSE", `more than ${maxItems} ${kind.plural}`);
    }
    return { items, resourceVersion: String(this.store.version()) };
  }

  apply(kind: Kind, given: JsonObject, options: ApplyOptions): JsonObject {
    const { fieldManager, force, subresource } = options;
    const { resource, strategy } = typesOf(kind);
    const place = this.#placeOf(kind, given);
    const applied = { ...given, apiVersion: kind.apiVersion, kind: kind.kind };
    check(resource.type, applied);
    refuseNulls(applied);
    const live = this.store.get(kind, place.key);
    checkPreconditions(kind, place, live, objectAt(given, "metadata"));
    if (live === undefined && subresource !== undefined) throw notFound(kind, place);
    const before = live?.object ?? this.#writes.blank(resource);
    const { object, managers } = applyConfiguration(
      {
        type: resource.type,
        live: withoutManagedFields(before),
        managers: live === undefined ? new Map() : this.#managersOf(resource, strategy, live),
        writer: writerOf(resource, fieldManager, "Apply", subresource, this.clock.now()),
        hasStatus: strategy.hasStatus,
      },
      applied,
      force,
    );
    const prepared = this.#writes.prepare({
      resource,
      strategy,
      wanted: object,
      live,
      subresource,
    });
    return this.#writes.commit({ kind, key: place.key, object: prepared.object, live, managers });
  }

  create(kind: Kind, given: JsonObject): JsonObject {
    const place = this.#placeOf(kind, given);
    if (objectAt(given, "metadata")["resourceVersion"] !== undefined)
      throw new Error("an object to be created must not have a resourceVersion");
    const live = this.store.get(kind, place.key);
    if (live !== undefined) {
      throw new OperatorError("KUBE_CONFLICT", `${kind.plural} "${place.name}" already exists`);
    }
    return this.#update(kind, place, given, undefined, undefined, CLIENT);
  }

  replace(kind: Kind, given: JsonObject, subresource: "status" | undefined): JsonObject {
    const { strategy } = typesOf(kind);
    const place = this.#placeOf(kind, given);
    const metadata = objectAt(given, "metadata");
    const live = this.store.get(kind, place.key);
    if (live === undefined) {
      if (strategy.createsOnReplace && metadata["resourceVersion"] === undefined)
        return this.create(kind, given);
      throw notFound(kind, place);
    }
    checkPreconditions(kind, place, live, metadata);
    if (strategy.needsVersion && metadata["resourceVersion"] === undefined) {
      throw new OperatorError(
        "KUBE_INVALID",
        "metadata.resourceVersion: must be specified for an update",
      );
    }
    return this.#update(kind, place, given, live, subresource, CLIENT);
  }

  patch(
    kind: Kind,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    { subresource, fieldManager = CLIENT }: Parameters<Kube["patch"]>[4],
  ): JsonObject {
    const place = this.#placeOf(kind, { metadata: { namespace: namespace ?? "", name } });
    const live = this.store.get(kind, place.key);
    if (live === undefined) throw notFound(kind, place);
    const change = toJsonObject(patch);
    checkPreconditions(kind, place, live, objectAt(change, "metadata"));
    const wanted = toJsonObject(mergePatch(withoutManagedFields(live.object), change));
    return this.#update(kind, place, wanted, live, subresource, fieldManager);
  }

  delete(
    kind: Kind,
    { namespace, name, uid, resourceVersion, propagationPolicy }: Parameters<Kube["delete"]>[1],
  ): void {
    const place = this.#placeOf(kind, { metadata: { namespace: namespace ?? "", name } });
    const live = this.store.get(kind, place.key);
    if (live === undefined) return;
    checkPreconditions(kind, place, live, toJsonObject({ uid, resourceVersion }));
    const metadata = objectAt(live.object, "metadata");
    if (kind.kind === "Pod" && objectAt(live.object, "spec")["nodeName"] !== undefined)
      throw new Error("the fake does not end pods that have a node: there is no kubelet");
    const finalizer = { Foreground: "foregroundDeletion", Orphan: "orphan", Background: undefined }[
      propagationPolicy ?? "Background"
    ];
    const present = isList(metadata["finalizers"]) ? metadata["finalizers"] : [];
    const finalizers = finalizer === undefined ? present : [...present, finalizer];
    if (finalizers.length === 0) {
      const version = this.store.nextVersion();
      const last = { ...live.object, metadata: { ...metadata, resourceVersion: version } };
      this.store.remove(kind, place.key, deepFreeze(last));
      return;
    }
    if (metadata["deletionTimestamp"] !== undefined) return;
    const { generation } = metadata;
    const object: JsonObject = {
      ...live.object,
      metadata: {
        ...withMember(metadata, "managedFields", undefined),
        finalizers,
        deletionTimestamp: new Date(this.clock.now()).toISOString().replace(/\.\d+Z$/, "Z"),
        deletionGracePeriodSeconds: 0,
        ...(typeof generation === "number" && { generation: generation + 1 }),
      },
    };
    const { managers } = live;
    this.#writes.commit({ kind, key: place.key, object, live, managers });
  }

  createToken(namespace: string, serviceAccount: string, audience: string): string {
    const kind = { apiVersion: "v1", kind: "ServiceAccount", plural: "serviceaccounts" };
    if (this.get(kind, namespace, serviceAccount) === undefined)
      throw new OperatorError("KUBE_NOT_FOUND", `serviceaccounts "${serviceAccount}" not found`);
    this.#tokens += 1;
    return `token-${this.#tokens}.${namespace}.${serviceAccount}.${audience}`;
  }

  /** A create, a replace or a patch: unknown fields are dropped, and the writer owns what it changes. */
  #update(
    kind: Kind,
    place: Place,
    given: JsonObject,
    live: Stored | undefined,
    subresource: "status" | undefined,
    manager: string,
  ): JsonObject {
    const { resource, strategy } = typesOf(kind);
    const typed = { ...given, apiVersion: kind.apiVersion, kind: kind.kind };
    const wanted = toJsonObject(pruneUnknown(resource.type, typed));
    const prepared = this.#writes.prepare({ resource, strategy, wanted, live, subresource });
    check(resource.type, prepared.object);
    const before = live?.managers ?? new Map();
    // An object without managers has none until it is applied.
    const isUntracked = live !== undefined && before.size === 0;
    const managers = isUntracked
      ? before
      : trackUpdate(
          {
            type: resource.type,
            live: withoutManagedFields(live?.object ?? this.#writes.blank(resource)),
            managers: before,
            writer: writerOf(resource, manager, "Update", subresource, this.clock.now()),
            hasStatus: strategy.hasStatus,
          },
          withoutManagedFields(prepared.tracked),
        );
    return this.#writes.commit({ kind, key: place.key, object: prepared.object, live, managers });
  }

  /** From the first apply on, fields without a manager belong to `before-first-apply`, as on the API server. */
  #managersOf(resource: ResourceType, strategy: Strategy, live: Stored): Managers {
    if (live.managers.size > 0) return live.managers;
    return trackUpdate(
      {
        type: resource.type,
        live: this.#writes.blank(resource),
        managers: live.managers,
        writer: writerOf(resource, "before-first-apply", "Update", undefined, this.clock.now()),
        hasStatus: strategy.hasStatus,
      },
      withoutManagedFields(live.object),
    );
  }

  #placeOf(kind: Kind, object: JsonObject): Place {
    const metadata = objectAt(object, "metadata");
    const name = textAt(metadata, "name") ?? "";
    const namespace = textAt(metadata, "namespace") ?? "";
    if (name === "")
      throw new OperatorError("KUBE_INVALID", `a ${kind.kind} to be written has no name`);
    if (!this.#namespaces.has(namespace)) {
      throw new OperatorError("KUBE_NOT_FOUND", `namespaces "${namespace}" not found`);
    }
    return { namespace, name, key: `${namespace}/${name}` };
  }
}

function typesOf(kind: Kind): { readonly resource: ResourceType; readonly strategy: Strategy } {
  return { resource: resourceType(kind.apiVersion, kind.kind), strategy: strategyOf(kind.kind) };
}

function notFound(kind: Kind, { name }: Place): OperatorError {
  return new OperatorError("KUBE_NOT_FOUND", `${kind.plural} "${name}" not found`);
}

/** A uid or a resourceVersion that is given must be that of the object. */
function checkPreconditions(
  kind: Kind,
  { name }: Place,
  live: Stored | undefined,
  given: JsonObject,
): void {
  const metadata = objectAt(live?.object ?? {}, "metadata");
  for (const field of ["uid", "resourceVersion"]) {
    const isVersionOfNothing = live === undefined && field === "resourceVersion";
    if (isVersionOfNothing || given[field] === undefined) continue;
    if (!equals(given[field], metadata[field])) {
      throw new OperatorError(
        "KUBE_CONFLICT",
        `${kind.plural} "${name}": ${field} is ${textAt(metadata, field)}, not ${textAt(given, field)}`,
      );
    }
  }
}

function withoutManagedFields(object: JsonObject): JsonObject {
  return {
    ...object,
    metadata: withMember(objectAt(object, "metadata"), "managedFields", undefined),
  };
}

function refuseNulls(value: unknown): void {
  if (value === null) throw new Error("the fake does not apply null");
  if (typeof value !== "object" || withoutNulls.has(value)) return;
  for (const member of Object.values(value)) refuseNulls(member);
  withoutNulls.add(value);
}

const withoutNulls = new WeakSet();
