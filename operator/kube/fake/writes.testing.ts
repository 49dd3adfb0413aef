import type { Clock } from "../../clock.ts";
import { OperatorError } from "../../errors.ts";
import type { Kind } from "../types.ts";
import { blankOf, normalize, schemaDefaults, setDefaults } from "./defaults.testing.ts";
import {
  deepFreeze,
  equals,
  isList,
  isObject,
  objectAt,
  textAt,
  withMember,
  type Json,
  type JsonObject,
} from "./json.testing.ts";
import { encodeManagers, type Managers, type Writer } from "./managed-fields.testing.ts";
import type { ResourceType } from "./schema.testing.ts";
import type { Store, Stored } from "./store.testing.ts";
import { generationInput, type Allotment, type Strategy } from "./strategy.testing.ts";
import { validateAIApp, validateName, validateRequired } from "./validation.testing.ts";

/** Turns an object as a request describes it into the object that is stored. */
export interface Writes {
  /** An empty object of the kind, as the first write of it is compared with. */
  readonly blank: (resource: ResourceType) => JsonObject;
  /** Fills in defaults and what the server allots, and validates. */
  readonly prepare: (input: Prepare) => Prepared;
  /** Stores what was prepared, unless it is what is stored already. Returns what is stored then. */
  readonly commit: (input: Commit) => JsonObject;
}

export interface Prepare {
  readonly resource: ResourceType;
  readonly strategy: Strategy;
  readonly wanted: JsonObject;
  readonly live: Stored | undefined;
  readonly subresource: "status" | undefined;
}

export interface Prepared {
  /** With defaults, but without what the server allots: no manager owns that. */
  readonly tracked: JsonObject;
  readonly object: JsonObject;
}

export interface Commit {
  readonly kind: Kind;
  readonly key: string;
  readonly object: JsonObject;
  readonly live: Stored | undefined;
  readonly managers: Managers;
}

/** What a write cannot change. */
const SERVER_METADATA = [
  "creationTimestamp",
  "deletionGracePeriodSeconds",
  "deletionTimestamp",
  "generation",
  "managedFields",
  "name",
  "namespace",
  "resourceVersion",
  "uid",
] as const;

export function createWrites({
  store,
  clock,
  allotment,
}: {
  readonly store: Store;
  readonly clock: Clock;
  readonly allotment: Allotment;
}): Writes {
  let uids = 0;
  const seconds = (): string => new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z");

  function newMetadata(strategy: Strategy): JsonObject {
    uids += 1;
    return {
      uid: `00000000-0000-4000-8000-${String(uids).padStart(12, "0")}`,
      creationTimestamp: seconds(),
      ...(strategy.hasGeneration && { generation: 1 }),
    };
  }

  /** The wanted metadata, with what only the server sets as it was. */
  function metadataOf({ wanted, live, strategy }: Prepare): JsonObject {
    const given = objectAt(wanted, "metadata");
    let metadata = given;
    for (const name of SERVER_METADATA) metadata = withMember(metadata, name, undefined);
    const before = live === undefined ? newMetadata(strategy) : objectAt(live.object, "metadata");
    for (const name of SERVER_METADATA) {
      if (before[name] !== undefined) metadata = { ...metadata, [name]: before[name] };
    }
    const { name, namespace } = given;
    return {
      ...withMember(metadata, "managedFields", undefined),
      ...(name !== undefined && { name }),
      ...(namespace !== undefined && { namespace }),
    };
  }

  function prepareSpec(input: Prepare): Prepared {
    const { resource, strategy, wanted, live } = input;
    const { type, kind, isCustom } = resource;
    const identified = {
      ...wanted,
      apiVersion: resource.apiVersion,
      kind,
      metadata: metadataOf(input),
    };
    // The status is the status subresource's.
    const status = live?.object["status"];
    const bare = strategy.hasStatus ? withMember(identified, "status", status) : identified;
    if (isCustom) {
      const object = withDefaults(type, bare);
      return { tracked: object, object };
    }
    const filled = setDefaults(kind, asObject(normalize(type, bare)));
    const object = strategy.allot(filled, live?.object, allotment);
    return {
      tracked: asObject(normalize(type, filled)),
      object: asObject(normalize(type, object)),
    };
  }

  function withDefaults(type: ResourceType["type"], object: JsonObject): JsonObject {
    const { metadata } = object;
    const filled = asObject(schemaDefaults(type, object));
    const metadataType = type.fields.get("metadata")?.type;
    if (metadataType === undefined || metadata === undefined) return filled;
    return { ...filled, metadata: normalize(metadataType, metadata) };
  }

  function prepareStatus({ resource, wanted, live }: Prepare): JsonObject {
    const before = live?.object ?? {};
    for (const name of ["labels", "annotations", "finalizers", "ownerReferences"]) {
      const given = objectAt(wanted, "metadata")[name];
      if (given !== undefined && !equals(given, objectAt(before, "metadata")[name]))
        throw new Error(`the fake does not change metadata.${name} by way of the status`);
    }
    const object = withMember(before, "status", wanted["status"]);
    return resource.isCustom
      ? withDefaults(resource.type, object)
      : asObject(normalize(resource.type, object));
  }

  return {
    blank: ({ type, apiVersion, kind, isCustom }) =>
      isCustom ? { apiVersion, kind, metadata: {} } : { ...blankOf(type), apiVersion, kind },
    prepare: (input) => {
      const { resource, strategy, live, subresource } = input;
      const status = subresource === "status" ? prepareStatus(input) : undefined;
      const { tracked, object } =
        status === undefined ? prepareSpec(input) : { tracked: status, object: status };
      validateName(resource.kind, textAt(objectAt(object, "metadata"), "name") ?? "");
      if (resource.isCustom) validateAIApp(object);
      else validateRequired(resource.type, object);
      strategy.validate(object, live?.object);
      const counted = strategy.hasGeneration ? withGeneration(resource.kind, object, live) : object;
      return { tracked, object: counted };
    },
    commit: ({ kind, key, object, live, managers }) => {
      const encoded = encodeManagers(managers);
      const metadata = {
        ...withMember(objectAt(object, "metadata"), "resourceVersion", undefined),
        ...(isList(encoded) && encoded.length > 0 && { managedFields: encoded }),
      };
      const next: JsonObject = { ...object, metadata };
      if (live !== undefined && equals(timeless(next), timeless(live.object))) return live.object;
      const isDone = isEmptyList(metadata, "finalizers") && "deletionTimestamp" in metadata;
      const versioned = deepFreeze({
        ...next,
        metadata: { ...metadata, resourceVersion: store.nextVersion() },
      });
      if (isDone) store.remove(kind, key, versioned);
      else store.put(kind, key, { object: versioned, managers });
      return versioned;
    },
  };
}

function isEmptyList(object: JsonObject, name: string): boolean {
  const value = object[name];
  return !isList(value) || value.length === 0;
}

function withGeneration(kind: string, object: JsonObject, live: Stored | undefined): JsonObject {
  if (live === undefined) return object;
  const before = objectAt(live.object, "metadata")["generation"];
  const isNew = !equals(generationInput(kind, object), generationInput(kind, live.object));
  if (!isNew || typeof before !== "number") return object;
  return { ...object, metadata: { ...objectAt(object, "metadata"), generation: before + 1 } };
}

/** An object without what is new with each write: a write that changes only that is none. */
function timeless(object: JsonObject): JsonObject {
  const { managedFields, resourceVersion: _, ...metadata } = objectAt(object, "metadata");
  const entries = isList(managedFields)
    ? managedFields.map((entry) => (isObject(entry) ? withMember(entry, "time", undefined) : entry))
    : [];
  return { ...object, metadata: { ...metadata, managedFields: entries } };
}

function asObject(value: Json): JsonObject {
  if (!isObject(value)) throw new OperatorError("KUBE_INVALID", "not an object");
  return value;
}

export function writerOf(
  resource: ResourceType,
  manager: string,
  operation: Writer["operation"],
  subresource: "status" | undefined,
  now: number,
): Writer {
  const time = new Date(now).toISOString().replace(/\.\d+Z$/, "Z");
  return { manager, operation, apiVersion: resource.apiVersion, subresource, time };
}
