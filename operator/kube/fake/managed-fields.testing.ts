import { OperatorError } from "../../errors.ts";
import {
  difference,
  intersection,
  isEmpty,
  NOTHING,
  pathsOf,
  toFieldsV1,
  union,
  without,
  LEAF,
  setOf,
  type FieldSet,
} from "./field-set.testing.ts";
import type { Json, JsonObject } from "./json.testing.ts";
import type { MapType } from "./schema.testing.ts";
import {
  asObject,
  compare,
  fieldSetOf,
  merge,
  removeFields,
  withStructs,
} from "./typed.testing.ts";

/** `metadata.managedFields`, decoded: the fields of each manager. A key is unique to a manager. */
export type Managers = ReadonlyMap<string, Manager>;

export interface Manager {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  readonly subresource: string | undefined;
  readonly time: string;
  readonly fields: FieldSet;
}

export type Writer = Omit<Manager, "fields">;

function keyOf({ operation, subresource = "", manager }: Writer): string {
  return `${operation}/${subresource}/${manager}`;
}

function fieldsOf(...names: readonly string[]): FieldSet {
  return setOf(
    false,
    names.map((name) => [`f:${name}`, LEAF] as const),
  );
}

/** What no manager manages. */
const SERVER_FIELDS: FieldSet = {
  ...fieldsOf("apiVersion", "kind"),
  children: new Map([
    ...fieldsOf("apiVersion", "kind").children,
    [
      "f:metadata",
      {
        ...fieldsOf(
          "creationTimestamp",
          "generation",
          "managedFields",
          "name",
          "namespace",
          "resourceVersion",
          "selfLink",
          "uid",
        ),
        member: true,
      },
    ],
  ]),
};

/** What a write to the object or to its status leaves alone, and so does not own. */
function ignoredFields(subresource: string | undefined, hasStatus: boolean): FieldSet {
  if (subresource === "status") return fieldsOf("spec", "metadata");
  return hasStatus ? fieldsOf("status") : NOTHING;
}

export interface ApplyResult {
  readonly object: JsonObject;
  readonly managers: Managers;
}

interface Change {
  readonly type: MapType;
  readonly live: JsonObject;
  readonly managers: Managers;
  readonly writer: Writer;
  readonly hasStatus: boolean;
}

/** Server-side apply, before defaults. Throws KUBE_CONFLICT when another manager's field would change. */
export function applyConfiguration(
  { type, live, managers, writer, hasStatus }: Change,
  applied: JsonObject,
  force: boolean,
): ApplyResult {
  const key = keyOf(writer);
  const last = managers.get(key)?.fields ?? NOTHING;
  const ignored = ignoredFields(writer.subresource, hasStatus);
  const owned = without(fieldSetOf(type, applied), ignored);
  const next = new Map(managers).set(key, { ...writer, fields: owned });
  const merged = asObject(merge(type, live, applied));
  // Usually nothing is dropped: then there is nothing to take away.
  const isSubset = isEmpty(difference(last, owned));
  const object = isSubset ? merged : prune(type, merged, next, last);
  const settled = settle(type, live, object, next, key, ignored, force);
  const stripped = difference(owned, SERVER_FIELDS);
  if (isEmpty(stripped)) settled.delete(key);
  else settled.set(key, { ...writer, fields: stripped });
  return { object, managers: settled };
}

/** Removes what the manager applied last time and no manager owns now. */
function prune(type: MapType, merged: JsonObject, managers: Managers, last: FieldSet): JsonObject {
  const structs = (set: FieldSet): FieldSet => withStructs(type, set);
  const remaining = (set: FieldSet): Json => removeFields(type, merged, set) ?? {};
  let owned = NOTHING;
  for (const { fields } of managers.values()) owned = union(owned, fields);
  const mergedFields = structs(fieldSetOf(type, merged));
  const pruned = structs(fieldSetOf(type, remaining(structs(last))));
  const withOwned = remaining(difference(mergedFields, union(pruned, structs(owned))));
  const kept = structs(fieldSetOf(type, withOwned));
  // Of what remains to be taken away, only what this manager had.
  return asObject(remaining(intersection(difference(mergedFields, kept), structs(last))));
}

/** Takes changed and removed fields from the other managers. */
function settle(
  type: MapType,
  live: JsonObject,
  object: JsonObject,
  managers: Managers,
  writer: string,
  ignored: FieldSet,
  force: boolean,
): Map<string, Manager> {
  const { added, modified, removed } = compare(type, live, object);
  const changed = without(union(added, modified), ignored);
  const gone = without(removed, ignored);
  const result = new Map<string, Manager>();
  const conflicts: string[] = [];
  for (const [key, manager] of managers) {
    if (key === writer) {
      result.set(key, manager);
      continue;
    }
    const conflict = intersection(manager.fields, changed);
    if (!isEmpty(conflict))
      conflicts.push(`conflict with "${manager.manager}": ${pathsOf(conflict).join(", ")}`);
    const fields = difference(difference(manager.fields, conflict), gone);
    if (!isEmpty(fields)) result.set(key, { ...manager, fields });
  }
  if (!force && conflicts.length > 0) {
    throw new OperatorError(
      "KUBE_CONFLICT",
      `Apply failed with ${conflicts.length} conflicts: ${conflicts.join("; ")}`,
    );
  }
  return result;
}

/** A create, replace or patch: the writer owns what it changed. `object` has its defaults already. */
export function trackUpdate(
  { type, live, managers, writer, hasStatus }: Change,
  object: JsonObject,
): Managers {
  const key = keyOf(writer);
  const ignored = ignoredFields(writer.subresource, hasStatus);
  // As if by a manager of its own: then its earlier fields count like another's.
  const result = settle(type, live, object, managers, "", ignored, true);
  const { added, modified } = compare(type, live, object);
  const taken = difference(without(union(added, modified), ignored), SERVER_FIELDS);
  if (!isEmpty(taken)) {
    const before = result.get(key)?.fields ?? NOTHING;
    result.set(key, { ...writer, fields: union(before, taken) });
  }
  return result;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function encodeManagers(managers: Managers): Json {
  return [...managers.values()]
    .toSorted(
      (a, b) =>
        compareText(a.operation, b.operation) ||
        compareText(a.time, b.time) ||
        compareText(a.manager, b.manager) ||
        compareText(a.subresource ?? "", b.subresource ?? ""),
    )
    .map(({ manager, operation, apiVersion, time, fields, subresource }) => ({
      manager,
      operation,
      apiVersion,
      time,
      fieldsType: "FieldsV1",
      fieldsV1: toFieldsV1(fields),
      ...(subresource !== undefined && { subresource }),
    }));
}
