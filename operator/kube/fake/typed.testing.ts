import { OperatorError } from "../../errors.ts";
import { asMember, LEAF, NOTHING, setOf, union, type FieldSet } from "./field-set.testing.ts";
import {
  equals,
  hasSameMembers,
  isList,
  isObject,
  once,
  onceDone,
  type Json,
  type JsonObject,
  type JsonPart,
} from "./json.testing.ts";
import type { AnyType, ListType, MapType, Type } from "./schema.testing.ts";

/** Values with their types: what structured merge does, member by member. */

export function typeOfMember(type: Type, name: string): Type | undefined {
  if (type.kind === "any") return type;
  if (type.kind !== "map") return undefined;
  return type.fields.get(name)?.type ?? type.values;
}

export function isField(type: Type, name: string): boolean {
  return type.kind === "map" && type.fields.has(name);
}

/** Whether the value is taken or left as a whole. */
function isAtomic(type: Type, value: Json): boolean {
  if (isObject(value)) return type.kind === "map" ? type.atomic : type.kind !== "any";
  if (isList(value)) return type.kind !== "list" || type.type === "atomic";
  return true;
}

function memberType(type: Type, name: string): Type {
  const found = typeOfMember(type, name);
  if (found === undefined) throw unknownField(name);
  return found;
}

function unknownField(path: string): OperatorError {
  return new OperatorError("KUBE_INVALID", `${path}: field not declared in schema`);
}

/** The step of a list's item. Keys that are left out have their default. */
export function stepOf(type: ListType, item: Json): string {
  if (type.type === "set") return `v:${JSON.stringify(item)}`;
  if (!isObject(item)) throw new OperatorError("KUBE_INVALID", "an item of a list is no object");
  const keys: Record<string, Json> = {};
  for (const key of type.keys.toSorted()) {
    const preset = type.items.kind === "map" ? type.items.fields.get(key)?.default : undefined;
    const value = item[key] ?? preset;
    if (value !== undefined) keys[key] = value;
  }
  if (Object.keys(keys).length === 0) {
    throw new OperatorError("KUBE_INVALID", `an item of a list lacks its keys ${type.keys.join()}`);
  }
  return `k:${JSON.stringify(keys)}`;
}

function indexed(type: ListType, items: readonly Json[]): Map<string, Json> {
  const found = new Map<string, Json>();
  for (const item of items) {
    const step = stepOf(type, item);
    if (found.has(step)) {
      throw new OperatorError("KUBE_INVALID", `duplicate entries for key ${step.slice(2)}`);
    }
    found.set(step, item);
  }
  return found;
}

/** Throws KUBE_INVALID where a value does not fit, or where a field is unknown. */
export function check(type: Type, value: Json, path = ""): void {
  if (value === null || type.kind === "any") return;
  if (typeof value === "object" && checked.get(value) === type) return;
  checkValue(type, value, path);
  if (typeof value === "object") checked.set(value, type);
}

const checked = new WeakMap<JsonPart, Type>();

function checkValue(type: Exclude<Type, AnyType>, value: Exclude<Json, null>, path: string): void {
  const misfit = (wanted: string): OperatorError =>
    new OperatorError("KUBE_INVALID", `${path}: expected ${wanted}, got ${JSON.stringify(value)}`);
  switch (type.kind) {
    case "scalar":
      if (typeof value === "object") throw misfit(type.of);
      if (type.of !== "untyped" && type.of !== "quantity" && typeof value !== type.of)
        throw misfit(type.of);
      return;
    case "list":
      if (!isList(value)) throw misfit("list");
      for (const item of value) {
        const step = type.type === "atomic" ? "" : stepOf(type, item).slice(2);
        check(type.items, item, `${path}[${step}]`);
      }
      if (type.type !== "atomic") indexed(type, value);
      return;
    case "map":
      if (!isObject(value)) throw misfit("map");
      for (const [name, member] of Object.entries(value)) {
        const child = typeOfMember(type, name);
        if (child === undefined) throw unknownField(`${path}.${name}`);
        check(child, member, `${path}.${name}`);
      }
  }
}

/** What remains of a value when unknown fields are dropped, as without strict validation. */
export function pruneUnknown(type: Type, value: Json): Json {
  return isObject(value) || isList(value) ? prunePart(type, value) : value;
}

const prunePart = onceDone((type: Type, value): Json => {
  if (type.kind === "map" && isObject(value)) {
    const kept = Object.entries(value).flatMap(([name, member]) => {
      const child = typeOfMember(type, name);
      return child === undefined ? [] : [[name, pruneUnknown(child, member)] as const];
    });
    return Object.fromEntries(kept);
  }
  if (type.kind === "list" && isList(value)) {
    return value.map((item) => pruneUnknown(type.items, item));
  }
  return value;
});

export function fieldSetOf(type: Type, value: Json): FieldSet {
  return isObject(value) || isList(value) ? fieldSetOfPart(type, value) : LEAF;
}

const fieldSetOfPart = once((type: Type, value): FieldSet => {
  if (isAtomic(type, value)) return LEAF;
  if (isList(value)) {
    if (type.kind !== "list") return LEAF;
    return setOf(
      false,
      value.map((item) => [stepOf(type, item), asMember(fieldSetOf(type.items, item))] as const),
    );
  }
  if (!isObject(value)) return LEAF;
  return setOf(
    false,
    Object.entries(value).map(([name, member]) => {
      const below = fieldSetOf(memberType(type, name), member);
      const isEmptyMap = isObject(member) && Object.keys(member).length === 0;
      const counts = member === null || isEmptyMap || !isField(type, name);
      return [`f:${name}`, counts ? asMember(below) : below] as const;
    }),
  );
});

/** Puts an applied configuration over an object. */
export function merge(type: Type, live: Json | undefined, applied: Json | undefined): Json {
  if (applied === undefined || live === undefined) return applied ?? live ?? null;
  if (isAtomic(type, applied)) return equals(applied, live) ? live : applied;
  if (isList(applied) && isList(live) && type.kind === "list") {
    return mergeList(type, live, applied);
  }
  if (!isObject(applied) || !isObject(live)) return applied;
  const merged: Record<string, Json> = { ...live };
  for (const [name, member] of Object.entries(applied)) {
    merged[name] = merge(memberType(type, name), live[name], member);
  }
  return hasSameMembers(live, merged) ? live : merged;
}

/** Items that both have stand in the order of the applied list, the others where they stood. */
function mergeList(type: ListType, live: readonly Json[], applied: readonly Json[]): Json {
  const left = indexed(type, live);
  const right = indexed(type, applied);
  const leftSteps = [...left.keys()];
  const rightSteps = [...right.keys()];
  const shared = rightSteps.filter((step) => left.has(step));
  const done = new Set<string>();
  const merged: Json[] = [];
  const take = (step: string): void => {
    merged.push(merge(type.items, left.get(step), right.get(step)));
    done.add(step);
    if (shared[0] === step) shared.shift();
  };
  let l = 0;
  let r = 0;
  while (l < leftSteps.length || r < rightSteps.length) {
    const leftStep = leftSteps[l];
    const rightStep = rightSteps[r];
    if (leftStep !== undefined && leftStep === rightStep) {
      take(leftStep);
      l += 1;
      r += 1;
    } else if (leftStep !== undefined && !right.has(leftStep)) {
      take(leftStep);
      l += 1;
    } else if (
      leftStep !== undefined &&
      (done.has(leftStep) || (rightStep !== undefined && shared[0] !== leftStep))
    ) {
      l += 1;
    } else if (rightStep !== undefined) {
      take(rightStep);
      r += 1;
    }
  }
  return hasSameMembers(live, merged) ? live : merged;
}

export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

const SAME: Comparison = { added: NOTHING, modified: NOTHING, removed: NOTHING };

function leafComparison(before: Json | undefined, after: Json | undefined): Comparison {
  if (before === undefined) return { ...SAME, added: LEAF };
  if (after === undefined) return { ...SAME, removed: LEAF };
  return equals(before, after) ? SAME : { ...SAME, modified: LEAF };
}

function isEmptyValue(value: Json | undefined): boolean {
  if (value === undefined || value === null) return true;
  return isList(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0;
}

export function compare(type: Type, before: Json | undefined, after: Json | undefined): Comparison {
  if (before === after) return SAME;
  const some = after ?? before ?? null;
  if (isAtomic(type, some) || (isEmptyValue(before) && isEmptyValue(after)))
    return leafComparison(before, after);
  const [left, right] = [membersOf(type, before), membersOf(type, after)];
  if (left === undefined || right === undefined) return leafComparison(before, after);
  const parts: [string, Comparison][] = [];
  for (const step of new Set([...left.keys(), ...right.keys()])) {
    const child = childType(type, step);
    const part = compare(child, left.get(step), right.get(step));
    if (part !== SAME) parts.push([step, part]);
  }
  const collect = (member: boolean, of: keyof Comparison): FieldSet =>
    setOf(
      member,
      parts.map(([step, part]) => [step, part[of]] as const),
    );
  return {
    added: collect(before === undefined, "added"),
    modified: collect(false, "modified"),
    removed: collect(after === undefined, "removed"),
  };
}

function childType(type: Type, step: string): Type {
  return type.kind === "list" ? type.items : memberType(type, step.slice(2));
}

/** The members of a map or list by their steps; undefined when the value is neither. */
function membersOf(
  type: MapType | Type,
  value: Json | undefined,
): ReadonlyMap<string, Json> | undefined {
  if (value === undefined || value === null) return new Map();
  if (isList(value)) return type.kind === "list" ? indexed(type, value) : undefined;
  if (!isObject(value)) return undefined;
  return new Map(Object.entries(value).map(([name, member]) => [`f:${name}`, member]));
}

/** A value without the fields of a set; undefined when nothing is left of it. */
export function removeFields(type: Type, value: Json, set: FieldSet): Json | undefined {
  if (isList(value)) {
    if (value.length === 0 || type.kind !== "list" || type.type === "atomic") return undefined;
    const kept = value.flatMap((item) => {
      const below = set.children.get(stepOf(type, item));
      if (below === undefined) return [item];
      if (below.member) return [];
      return [removeFields(type.items, item, below) ?? null];
    });
    return kept.length === 0 ? undefined : kept;
  }
  if (!isObject(value)) return value;
  if (Object.keys(value).length === 0 || (type.kind === "map" && type.atomic)) return undefined;
  const kept: Record<string, Json> = {};
  for (const [name, member] of Object.entries(value)) {
    const below = set.children.get(`f:${name}`);
    if (below === undefined) kept[name] = member;
    else if (!below.member)
      kept[name] = removeFields(memberType(type, name), member, below) ?? null;
  }
  return Object.keys(kept).length === 0 ? undefined : kept;
}

/** Declared fields that lead to members become members: structs can be removed with what is in them. */
export function withStructs(type: Type, set: FieldSet): FieldSet {
  const children = [...set.children].map(([step, child]) => {
    const below = withStructs(childType(type, step), child);
    const isStruct = step.startsWith("f:") && isField(type, step.slice(2));
    return [step, isStruct && child.children.size > 0 ? union(below, LEAF) : below] as const;
  });
  return { member: set.member, children: new Map(children) };
}

export function asObject(value: Json | undefined): JsonObject {
  if (!isObject(value)) throw new Error("an object was expected");
  return value;
}
