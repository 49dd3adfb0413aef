/** Reads spec.podTemplate, which is merged unchecked: anything may stand anywhere. */

/** Undefined where `object` is none, or has no such member. */
export function memberOf(object: unknown, name: string): unknown {
  return typeof object === "object" && object !== null && Object.hasOwn(object, name)
    ? Reflect.get(object, name)
    : undefined;
}

export function itemsOf(list: unknown): readonly unknown[] {
  return Array.isArray(list) ? list : [];
}
