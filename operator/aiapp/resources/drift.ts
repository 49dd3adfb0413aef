import { sameQuantity } from "../../kube/quantity.ts";
import type { KubernetesObject, V1Deployment } from "../../kube/types.ts";

export interface Comparison {
  /** Whether the object still says all that the operator applied. */
  readonly isApplied: boolean;
  /** The fields that do not, by path. */
  readonly overridden: readonly string[];
  /** What others have added to the pods of a Deployment that is what was applied (see unmanagedEntries). */
  readonly unmanaged: readonly string[];
}

interface Compared extends Comparison {
  readonly desired: KubernetesObject;
}

const compared = new WeakMap<KubernetesObject, Compared>();

/**
 * Compares an object of the cluster with what the operator applies. Done once for the two: objects are never changed in
 * place, neither those that were observed nor those of `desiredOf`, and nearly every reconcile finds the same.
 */
export function compare(live: KubernetesObject, desired: KubernetesObject): Comparison {
  const known = compared.get(live);
  if (known?.desired === desired) return known;
  const found = [...overridden(live, desired)];
  const isApplied = found.length === 0;
  const unmanaged = isApplied ? unmanagedEntries(podOf(live), podOf(desired)) : [];
  const made = { desired, isApplied, overridden: found, unmanaged };
  compared.set(live, made);
  return made;
}

function podOf(object: KubernetesObject): unknown {
  const { spec } = object as V1Deployment;
  return spec?.template?.spec;
}

/** Whether an object still says all that the operator applied. */
export function covers(live: unknown, desired: unknown): boolean {
  return overridden(live, desired).next().done === true;
}

/**
 * The fields that no longer say what the operator applied, each by its path. The API server adds defaults, and other actors
 * add fields and list elements (a sidecar, an environment variable): those belong to them, and are ignored. An element of
 * a list with a merge key is found by its key, wherever it stands.
 */
export function* overridden(
  live: unknown,
  desired: unknown,
  field = "",
  path = "",
): Generator<string> {
  if (Array.isArray(desired)) {
    if (Array.isArray(live)) yield* overriddenIn(live, desired, field, path);
    else yield path;
  } else if (typeof desired === "object" && desired !== null) {
    if (typeof live !== "object" || live === null) {
      yield path;
      return;
    }
    for (const [key, value] of Object.entries(desired)) {
      if (value === undefined) continue;
      const at = path === "" ? key : `${path}.${key}`;
      const found: unknown = Reflect.get(live, key);
      const isQuantity = QUANTITY_MAPS.has(field) || QUANTITIES.has(key);
      if (!isQuantity) yield* overridden(found, value, key, at);
      else if (!coversQuantity(found, value)) yield at;
    }
  } else if (live !== desired && !(desired === "" && live === undefined)) {
    // The API server does not store an empty text.
    yield path;
  }
}

/** These, and the members of those, are quantities, which the API server may write in another unit ("0.5" as "500m"). */
const QUANTITIES: ReadonlySet<string> = new Set(["sizeLimit", "divisor"]);
const QUANTITY_MAPS: ReadonlySet<string> = new Set(["requests", "limits"]);

function coversQuantity(live: unknown, desired: unknown): boolean {
  return (
    live === desired ||
    ((typeof live === "string" || typeof live === "number") &&
      (typeof desired === "string" || typeof desired === "number") &&
      sameQuantity(String(live), String(desired)))
  );
}

function* overriddenIn(
  live: readonly unknown[],
  desired: readonly unknown[],
  field: string,
  path: string,
): Generator<string> {
  const keys = LIST_KEYS[field];
  if (keys === undefined) {
    // An atomic list is one value.
    const isSame =
      live.length === desired.length &&
      desired.every((element, index) => covers(live[index], element));
    if (!isSame) yield path;
    return;
  }
  for (const [index, element] of desired.entries()) {
    const isMatch = (other: unknown): boolean => keys.every((key) => sameKey(other, element, key));
    // Nearly always it stands where it was applied.
    const at = live[index];
    const found = at !== undefined && isMatch(at) ? at : live.find(isMatch);
    yield* overridden(found, element, "", elementPath(path, element, keys));
  }
}

function elementPath(path: string, element: unknown, keys: readonly string[]): string {
  return `${path}[${String(Reflect.get(Object(element), keys[0] ?? ""))}]`;
}

/**
 * The list elements of a pod template that others have added to what was applied, each by its path, such as
 * `containers[server].env[DEBUG]`. The API server adds none by itself.
 */
export function unmanagedEntries(live: unknown, desired: unknown): readonly string[] {
  return entriesIn(live, desired, "", "");
}

function entriesIn(live: unknown, desired: unknown, field: string, path: string): string[] {
  if (Array.isArray(live)) {
    const known: readonly unknown[] = Array.isArray(desired) ? desired : [];
    const keys = LIST_KEYS[field];
    // An atomic list is compared whole, and put back.
    if (keys === undefined) return known.length === 0 && live.length > 0 ? [path] : [];
    return live.flatMap((element: unknown) => {
      const same = known.find((other) => keys.every((key) => sameKey(element, other, key)));
      const at = elementPath(path, element, keys);
      return same === undefined ? [at] : entriesIn(element, same, "", at);
    });
  }
  if (typeof live !== "object" || live === null) return [];
  return Object.entries(live).flatMap(([name, member]) => {
    const other: unknown = Reflect.get(Object(desired), name);
    const at = path === "" ? name : `${path}.${name}`;
    // Of what the operator says nothing of, others may fill in fields: only whole elements count.
    return other === undefined && !Array.isArray(member) ? [] : entriesIn(member, other, name, at);
  });
}

/** A member of the key that was not applied may have been filled in with its default. */
function sameKey(live: unknown, desired: unknown, key: string): boolean {
  if (typeof live !== "object" || live === null) return false;
  if (typeof desired !== "object" || desired === null) return false;
  const value: unknown = Reflect.get(desired, key);
  return value === undefined || Reflect.get(live, key) === value;
}

/** The keys of the lists that server-side apply merges (listType=map), by field name. Other lists are atomic. */
const LIST_KEYS: Readonly<Record<string, readonly string[]>> = {
  containers: ["name"],
  initContainers: ["name"],
  ephemeralContainers: ["name"],
  volumes: ["name"],
  env: ["name"],
  volumeMounts: ["mountPath"],
  volumeDevices: ["devicePath"],
  ports: ["containerPort", "port", "protocol"],
  imagePullSecrets: ["name"],
  hostAliases: ["ip"],
  topologySpreadConstraints: ["topologyKey", "whenUnsatisfiable"],
  resourceClaims: ["name"],
  ownerReferences: ["uid"],
};
