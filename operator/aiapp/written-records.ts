import { kinds, type KubernetesObject, type V1ControllerRevision } from "../kube/types.ts";
import type { WriteAction } from "./execute.ts";

/** Longer than a cache is behind: a watch that is silent for so long is opened again. */
const KEEP_MS = 5 * 60_000;
const ABSENT = "";

interface Written {
  /** Undefined: it was deleted. */
  readonly object: V1ControllerRevision | undefined;
  /** The versions that the cache may have until it shows this one; `ABSENT` before it shows any. */
  readonly replaced: ReadonlySet<string>;
  readonly at: number;
}

/**
 * The records of releases that this process wrote, until the cache shows them. Each kind has a watch of its own: without
 * this a reconcile could see the Deployment of a rollout beside the record from before it, and take the rollout back.
 */
export class WrittenRecords {
  /** By app, then by name. */
  readonly #apps = new Map<string, Map<string, Written>>();

  /** The records of an app as the cache has them, or as the last write left them. */
  latest(
    key: string,
    cached: readonly V1ControllerRevision[],
    now: number,
  ): readonly V1ControllerRevision[] {
    const app = this.#apps.get(key);
    if (app === undefined) return cached;
    const versions = new Map(cached.map((one) => [nameOf(one), versionOf(one)]));
    for (const [name, { replaced, at }] of app)
      if (!replaced.has(versions.get(name) ?? ABSENT) || now - at > KEEP_MS) app.delete(name);
    if (app.size === 0) this.#apps.delete(key);
    return [
      ...cached.filter((one) => !app.has(nameOf(one))),
      ...[...app.values()].flatMap(({ object }) => object ?? []),
    ];
  }

  /** Takes what the API server returned for a write; nothing when it was a delete. */
  keep(
    key: string,
    { resource, object }: WriteAction,
    result: KubernetesObject | undefined,
    now: number,
  ): void {
    if (resource.plural !== kinds.controllerRevision.plural) return;
    const app = this.#apps.get(key) ?? new Map<string, Written>();
    const name = nameOf(object);
    const replaced = new Set([...(app.get(name)?.replaced ?? []), versionOf(object)]);
    // Of the kind that the action names.
    const revision = result as V1ControllerRevision | undefined;
    this.#apps.set(key, app.set(name, { object: revision, replaced, at: now }));
  }

  /** After a write of a record that failed, the cache is all that is known of it. */
  drop(key: string, { resource, object }: WriteAction): void {
    if (resource.plural === kinds.controllerRevision.plural)
      this.#apps.get(key)?.delete(nameOf(object));
  }

  forget(key: string): void {
    this.#apps.delete(key);
  }
}

function nameOf({ metadata }: KubernetesObject): string {
  return metadata?.name ?? "";
}

function versionOf({ metadata }: KubernetesObject): string {
  return metadata?.resourceVersion ?? ABSENT;
}
