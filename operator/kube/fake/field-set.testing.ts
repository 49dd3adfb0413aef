import { isObject, type JsonObject } from "./json.testing.ts";

/**
 * A set of fields of an object, as `metadata.managedFields[].fieldsV1` writes it: a tree whose steps are `f:<field>`,
 * `k:<keys of a list item>` and `v:<value of a set item>`. A member is a field of the set; others only lead to some.
 */
export interface FieldSet {
  readonly member: boolean;
  readonly children: ReadonlyMap<string, FieldSet>;
}

export const NOTHING: FieldSet = { member: false, children: new Map() };
export const LEAF: FieldSet = { member: true, children: new Map() };

export function isEmpty(set: FieldSet): boolean {
  return !set.member && set.children.size === 0;
}

export function setOf(member: boolean, children: Iterable<readonly [string, FieldSet]>): FieldSet {
  const kept = new Map<string, FieldSet>();
  for (const [step, child] of children) if (!isEmpty(child)) kept.set(step, child);
  return { member, children: kept };
}

export function asMember(set: FieldSet): FieldSet {
  return set.member ? set : { ...set, member: true };
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmpty(a)) return b;
  if (isEmpty(b)) return a;
  const children = new Map(a.children);
  for (const [step, child] of b.children) {
    const other = children.get(step);
    children.set(step, other === undefined ? child : union(other, child));
  }
  return { member: a.member || b.member, children };
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  return setOf(
    a.member && b.member,
    [...a.children].flatMap(([step, child]) => {
      const other = b.children.get(step);
      return other === undefined ? [] : [[step, intersection(child, other)] as const];
    }),
  );
}

/** Without the very members of `b`; members below them stay. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmpty(b)) return a;
  return setOf(
    a.member && !b.member,
    [...a.children].map(([step, child]) => {
      const other = b.children.get(step);
      return [step, other === undefined ? child : difference(child, other)] as const;
    }),
  );
}

/** Without the fields of `b` and all below them. */
export function without(a: FieldSet, b: FieldSet): FieldSet {
  if (b.member) return NOTHING;
  return setOf(
    a.member,
    [...a.children].map(([step, child]) => {
      const other = b.children.get(step);
      return [step, other === undefined ? child : without(child, other)] as const;
    }),
  );
}

/** A set is never changed, and most writes leave those of other managers as they are. */
const encoded = new WeakMap<FieldSet, JsonObject>();

export function toFieldsV1(set: FieldSet): JsonObject {
  let fields = encoded.get(set);
  if (fields === undefined) encoded.set(set, (fields = encode(set)));
  return fields;
}

function encode(set: FieldSet): JsonObject {
  const children = [...set.children].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const below = Object.fromEntries(children.map(([step, child]) => [step, encode(child)]));
  return set.member && children.length > 0 ? { ".": {}, ...below } : below;
}

export function fromFieldsV1(fields: JsonObject): FieldSet {
  const steps = Object.entries(fields).filter(([step]) => step !== ".");
  return {
    member: steps.length === 0 || "." in fields,
    children: new Map(
      steps.map(([step, below]) => [step, fromFieldsV1(isObject(below) ? below : {})]),
    ),
  };
}

/** The members of a set, as an error message names them: `.spec.ports[port=80].name`. */
export function pathsOf(set: FieldSet, prefix = ""): readonly string[] {
  const own = set.member ? [prefix] : [];
  return own.concat(
    [...set.children].flatMap(([step, child]) => {
      const name = step.slice(2);
      return pathsOf(child, step.startsWith("f:") ? `${prefix}.${name}` : `${prefix}[${name}]`);
    }),
  );
}
