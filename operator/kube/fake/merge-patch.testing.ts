import { equals, hasSameMembers, isObject, type Json } from "./json.testing.ts";

/** RFC 7386: null removes, objects merge, all else replaces. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return target !== undefined && equals(target, patch) ? target : patch;
  const result: Record<string, Json> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return target !== undefined && hasSameMembers(target, result) ? target : result;
}
