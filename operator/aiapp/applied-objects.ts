import { isDeepStrictEqual } from "node:util";

import type { Kind, KubernetesObject } from "../kube/types.ts";
import type { WriteAction } from "./execute.ts";
import { overridden } from "./resources/drift.ts";

/** An object as it came of the last apply, which is not what was applied. */
interface Overridden {
  readonly uid: string | undefined;
  readonly version: string;
  readonly fields: readonly string[];
}

/**
 * What policies of the cluster have made of the operator's last applies: another apply of the same would make no difference
 * to an object that is still so. A restart loses this, and costs one such apply.
 */
export class AppliedObjects {
  /** By app, then by kind and name. */
  readonly #apps = new Map<string, Map<string, Overridden>>();

  /** Takes what the API server returned for a write. */
  keep(key: string, action: WriteAction, result: KubernetesObject | undefined): void {
    if (action.kind !== "apply" || result === undefined) return;
    const fields = [...overridden(result, action.object)];
    const name = keyOf(action.resource, result);
    const app = this.#apps.get(key) ?? new Map<string, Overridden>();
    if (fields.length > 0)
      app.set(name, { uid: result.metadata?.uid, version: versionOf(result), fields });
    else app.delete(name);
    if (app.size > 0) this.#apps.set(key, app);
    else this.#apps.delete(key);
  }

  /**
   * Whether this object is what came of the last apply of it.
   *
   * @param fields those that are not as the operator applies them
   */
  isOutcome(
    key: string,
    resource: Kind,
    object: KubernetesObject,
    fields: readonly string[],
  ): boolean {
    const applied = this.#apps.get(key)?.get(keyOf(resource, object));
    return (
      applied !== undefined &&
      applied.uid === object.metadata?.uid &&
      applied.version === versionOf(object) &&
      isDeepStrictEqual(applied.fields, fields)
    );
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
