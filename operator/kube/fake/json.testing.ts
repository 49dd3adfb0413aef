/** Objects as the API has them: plain JSON, never changed once they are stored. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export type JsonPart = JsonObject | readonly Json[];

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isList(value: unknown): value is readonly Json[] {
  return Array.isArray(value);
}

/**
 * Computes something of a part of an object only once for each context, such as its type. Parts are never changed, and
 * most writes leave most of them as they are.
 */
export function once<C, R>(compute: (context: C, part: JsonPart) => R) {
  const known = new WeakMap<JsonPart, { readonly context: C; readonly result: R }>();
  return (context: C, part: JsonPart): R => {
    const found = known.get(part);
    if (found?.context === context) return found.result;
    const result = compute(context, part);
    known.set(part, { context, result });
    return result;
  };
}

/** The same for what makes a new part, and would leave the result as it is: a part that is right already is kept. */
export function onceDone<C>(compute: (context: C, part: JsonPart) => Json) {
  const done = once((context: C, part: JsonPart): Json => {
    const result = compute(context, part);
    return hasSameMembers(part, result) ? part : result;
  });
  return (context: C, part: JsonPart): Json => {
    const result = done(context, part);
    return typeof result === "object" && result !== null ? done(context, result) : result;
  };
}

/** The same ones, and not only equal ones. */
export function hasSameMembers(a: Json | undefined, b: Json | undefined): boolean {
  if (isList(a))
    return isList(b) && a.length === b.length && a.every((item, index) => item === b[index]);
  if (!isObject(a) || !isObject(b)) return a === b;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

/** As JSON: members that are undefined are left out. What is stored is JSON, anything else is copied. */
export function toJson(value: unknown): Json {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (value instanceof Date) return value.toISOString();
  if (isStored(value)) return value;
  if (Array.isArray(value)) return value.map((item) => toJson(item ?? null));
  if (typeof value === "object") {
    const members: Record<string, Json> = {};
    for (const [key, member] of Object.entries(value)) {
      if (member !== undefined) members[key] = toJson(member);
    }
    return members;
  }
  throw new Error(`not JSON: a ${typeof value}`);
}

export function toJsonObject(value: unknown): JsonObject {
  const json = toJson(value);
  if (!isObject(json)) throw new Error("not a JSON object");
  return json;
}

export function equals(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isList(a)) {
    return isList(b) && a.length === b.length && a.every((item, index) => equals(item, b[index]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && equals(a[key], b[key]))
  );
}

/** An object with a member set, or left out when the value is undefined. */
export function withMember(object: JsonObject, key: string, value: Json | undefined): JsonObject {
  const { [key]: _, ...rest } = object;
  return value === undefined ? rest : { ...rest, [key]: value };
}

export function objectAt(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isObject(value) ? value : {};
}

export function textAt(object: JsonObject, key: string): string | undefined {
  const value = object[key];
  return typeof value === "string" ? value : undefined;
}

/** Nothing else freezes objects. */
function isStored(value: unknown): value is JsonPart {
  return typeof value === "object" && value !== null && Object.isFrozen(value);
}

/** Freezes an object that is to be stored. */
export function deepFreeze<T extends Json>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) deepFreeze(member);
  }
  return value;
}
