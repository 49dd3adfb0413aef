import { aiAppDefinition } from "../../../crds/crd.ts";
import { API_VERSION, KIND } from "../../../crds/names.ts";
import definitions from "./generated/schema.json" with { type: "json" };
import {
  isList,
  isObject,
  objectAt,
  textAt,
  toJsonObject,
  type Json,
  type JsonObject,
} from "./json.testing.ts";

/** The types of the API as server-side apply sees them: what merges member by member, and what only as a whole. */
export type Type = ScalarType | ListType | MapType | AnyType;

export interface ScalarType {
  readonly kind: "scalar";
  readonly of: "string" | "number" | "boolean" | "quantity" | "untyped";
}

export interface ListType {
  readonly kind: "list";
  readonly items: Type;
  /** A map identifies its items by their keys, a set by their values; an atomic list is one value. */
  readonly type: "atomic" | "set" | "map";
  readonly keys: readonly string[];
}

export interface MapType {
  readonly kind: "map";
  readonly fields: ReadonlyMap<string, Field>;
  /** Of members that are no field; undefined when there may be none. */
  readonly values: Type | undefined;
  readonly atomic: boolean;
  readonly required: readonly string[];
}

/** Unknown fields that are kept: maps merge, lists and scalars do not. */
export interface AnyType {
  readonly kind: "any";
}

export interface Field {
  readonly type: Type;
  readonly default: Json | undefined;
}

const ANY: AnyType = { kind: "any" };
const UNTYPED: ScalarType = { kind: "scalar", of: "untyped" };
const compiled = new Map<string, Type>();

function builtIn(name: string): Type {
  let type = compiled.get(name);
  if (type === undefined) {
    const node: unknown = Reflect.get(definitions, name);
    if (!isObject(node)) throw new Error(`the fake has no schema ${name}`);
    type = special(name) ?? compile(node);
    compiled.set(name, type);
  }
  return type;
}

/** Types that are more than their schema says. */
function special(name: string): Type | undefined {
  if (name.endsWith(".Quantity")) return { kind: "scalar", of: "quantity" };
  // Any object, taken as a whole.
  return name.endsWith(".RawExtension")
    ? { kind: "map", fields: new Map(), values: ANY, atomic: true, required: [] }
    : undefined;
}

function compile(node: JsonObject): Type {
  const reference = textAt(node, "$ref");
  if (reference !== undefined) return overridden(builtIn(reference), node);
  if (node["x-kubernetes-int-or-string"] === true) return UNTYPED;
  switch (textAt(node, "type")) {
    case "array":
      return compileList(node);
    case "object":
      return compileMap(node);
    case "integer":
    case "number":
      return { kind: "scalar", of: "number" };
    case "boolean":
      return { kind: "scalar", of: "boolean" };
    case "string":
      return textAt(node, "format") === undefined ? { kind: "scalar", of: "string" } : UNTYPED;
    case undefined:
    default:
      return textAt(node, "format") === "int-or-string" ? UNTYPED : ANY;
  }
}

/** A field may say that what it refers to is one value, though the type alone is not. */
function overridden(type: Type, node: JsonObject): Type {
  return type.kind === "map" && node["x-kubernetes-map-type"] === "atomic"
    ? { ...type, atomic: true }
    : type;
}

function strings(value: Json | undefined): readonly string[] {
  return isList(value) ? value.filter((item) => typeof item === "string") : [];
}

function compileList(node: JsonObject): ListType {
  const items = compile(objectAt(node, "items"));
  const type = node["x-kubernetes-list-type"];
  if (type === "map") {
    return { kind: "list", items, type, keys: strings(node["x-kubernetes-list-map-keys"]) };
  }
  if (type === "set") return { kind: "list", items, type, keys: [] };
  const merges = textAt(node, "x-kubernetes-patch-strategy")?.startsWith("merge") === true;
  if (type === "atomic" || !merges) return { kind: "list", items, type: "atomic", keys: [] };
  const key = textAt(node, "x-kubernetes-patch-merge-key");
  return key === undefined
    ? { kind: "list", items, type: "set", keys: [] }
    : { kind: "list", items, type: "map", keys: [key] };
}

function compileMap(node: JsonObject): MapType {
  const fields = new Map<string, Field>();
  for (const [name, child] of Object.entries(objectAt(node, "properties"))) {
    if (isObject(child)) fields.set(name, { type: compile(child), default: child["default"] });
  }
  const { additionalProperties } = node;
  const keepsUnknown = node["x-kubernetes-preserve-unknown-fields"] === true;
  return {
    kind: "map",
    fields,
    values: isObject(additionalProperties)
      ? compile(additionalProperties)
      : keepsUnknown || fields.size === 0
        ? ANY
        : undefined,
    atomic: node["x-kubernetes-map-type"] === "atomic",
    required: strings(node["required"]),
  };
}

/** A kind as the API server serves it. */
export interface ResourceType {
  readonly apiVersion: string;
  readonly kind: string;
  readonly type: MapType;
  /** A custom resource is stored as it is written: there are no structs that are always there. */
  readonly isCustom: boolean;
}

const packages: Readonly<Record<string, string>> = {
  "apps/v1": "apps.v1",
  "autoscaling/v2": "autoscaling.v2",
  "batch/v1": "batch.v1",
  "coordination.k8s.io/v1": "coordination.v1",
  "policy/v1": "policy.v1",
  v1: "core.v1",
};

function asMap(type: Type): MapType {
  if (type.kind !== "map") throw new Error("the schema of a kind must be an object");
  return type;
}

let custom: JsonObject | undefined;

/** The schema of the AIApp, as its CustomResourceDefinition has it. */
export function customSchema(): JsonObject {
  if (custom === undefined) {
    const { versions } = objectAt(toJsonObject(aiAppDefinition()), "spec");
    const version = isList(versions) && isObject(versions[0]) ? versions[0] : {};
    custom = objectAt(objectAt(version, "schema"), "openAPIV3Schema");
  }
  return custom;
}

const resources = new Map<string, ResourceType>();

export function resourceType(apiVersion: string, kind: string): ResourceType {
  const key = `${apiVersion} ${kind}`;
  let resource = resources.get(key);
  if (resource === undefined) {
    resource = { apiVersion, kind, ...typeOfKind(apiVersion, kind) };
    resources.set(key, resource);
  }
  return resource;
}

function typeOfKind(apiVersion: string, kind: string): Pick<ResourceType, "type" | "isCustom"> {
  const group = packages[apiVersion];
  if (group !== undefined) {
    return { type: asMap(builtIn(`io.k8s.api.${group}.${kind}`)), isCustom: false };
  }
  if (apiVersion !== API_VERSION || kind !== KIND)
    throw new Error(`the fake knows no ${apiVersion} ${kind}`);
  const type = asMap(compile(customSchema()));
  const metadata = builtIn("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
  const fields = new Map(type.fields).set("metadata", { type: metadata, default: undefined });
  return { type: { ...type, fields }, isCustom: true };
}
