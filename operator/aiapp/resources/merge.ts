/**
 * Merges a partial PodTemplateSpec over the one that we make, as a strategic merge patch would: maps by key, lists by
 * their Kubernetes merge key, all else replaced; null removes.
 */

/** The merge keys of a PodTemplateSpec's lists (k8s.io/api/core/v1, patchMergeKey). Other lists are atomic. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: "name",
  initContainers: "name",
  ephemeralContainers: "name",
  volumes: "name",
  env: "name",
  volumeMounts: "mountPath",
  volumeDevices: "devicePath",
  ports: "containerPort",
  imagePullSecrets: "name",
  hostAliases: "ip",
  topologySpreadConstraints: "topologyKey",
  resourceClaims: "name",
};

type Plain = Readonly<Record<string, unknown>>;

function isPlain(value: unknown): value is Plain {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Keys that would reach the prototype instead of the object. */
const UNSAFE = new Set(["__proto__", "constructor", "prototype"]);

export function mergeStrategically(base: unknown, patch: unknown, field = ""): unknown {
  if (patch === undefined) return base;
  if (isPlain(patch)) return mergeMaps(isPlain(base) ? base : {}, patch);
  if (Array.isArray(patch))
    return mergeLists(Array.isArray(base) ? base : [], patch, MERGE_KEYS[field]);
  return patch;
}

function mergeMaps(base: Plain, patch: Plain): Plain {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (UNSAFE.has(key) || key === "$patch") continue;
    if (value === null) delete merged[key];
    else merged[key] = mergeStrategically(merged[key], value, key);
  }
  return merged;
}

/** Elements with a known key are merged in place, new ones come after; `$patch: delete` removes one. */
function mergeLists(
  base: readonly unknown[],
  patch: readonly unknown[],
  key: string | undefined,
): unknown {
  if (key === undefined || !patch.every((element) => isPlain(element) && key in element))
    return patch;
  const merged = [...base];
  const added: unknown[] = [];
  for (const element of patch.filter(isPlain)) {
    const at = base.findIndex((present) => isPlain(present) && present[key] === element[key]);
    const removes = element["$patch"] === "delete";
    if (at >= 0) merged[at] = removes ? undefined : mergeStrategically(merged[at], element);
    // Also into nothing: what its null and `$patch: delete` name must not be written either.
    else if (!removes) added.push(mergeStrategically({}, element));
  }
  return [...merged.filter((element) => element !== undefined), ...added];
}
