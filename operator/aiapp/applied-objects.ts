import type { Kind, KubernetesObject } from "../kube/types.ts";
import type { WriteAction } from "./execute.ts";

interface Applied {
  readonly uid: string | undefined;
  readonly version: string;
}

/**
 * What the API server made of the last apply of each owned object. If that is not what was applied, a policy of the cluster
 * has changed it, and another apply of the same would make no difference. A restart loses this, and costs one such apply.
 */
export class AppliedObjects {
  /** By app, then by kind and name. */
  readonly #apps = new Map<string, Map<string, Applied>>();

  /** Takes what the API server returned for a write. */
  keep(key: string, { kind, resource }: WriteAction, result: KubernetesObject | undefined): void {
    if (kind !== "apply" || result === undefined) return;
    const app = this.#apps.get(key) ?? new Map<string, Applied>();
    const applied = { uid: result.metadata?.uid, version: versionOf(result) };
    this.#apps.set(key, app.set(keyOf(resource, result), applied));
  }

  /** Whether this object is what came of the last apply of it. */
  isOutcome(key: string, resource: Kind, object: KubernetesObject): boolean {
    const applied = this.#apps.get(key)?.get(keyOf(resource, object));
    return applied?.uid === object.metadata?.uid && applied?.version === versionOf(object);
  }

  forget(key: string): void {
    this.#apps.delete(key);
  }
}

function keyOf({ kind }: Kind, { metadata }: KubernetesObject): string {
  return `${kind} ${metadata?.name ?? ""}`;
}

/** Changes with each change of the spec; of kinds that do not count those, with each change. */
function versionOf({ metadata }: KubernetesObject): string {
  const { resourceVersion = "" } = metadata ?? {};
  const generation: unknown = Reflect.get(metadata ?? {}, "generation");
  return typeof generation === "number" ? `generation ${generation}` : resourceVersion;
}
