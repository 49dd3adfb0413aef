import type { KubernetesObject } from "../kube/types.ts";
import type { View } from "./cache.ts";

/** How many AIApps of a namespace the operator serves: the oldest ones, so that no new one takes the place of another. */

export function namespaceOf({ metadata }: KubernetesObject): string {
  return metadata?.namespace ?? "";
}

/**
 * Why an AIApp is not served; undefined while it is.
 *
 * @param apps by namespace
 * @param limit 0: none
 */
export function refusalByCount(
  app: KubernetesObject,
  apps: Pick<View<KubernetesObject>, "indexed">,
  limit: number,
): string | undefined {
  if (limit === 0) return undefined;
  const namespace = namespaceOf(app);
  const all = apps.indexed(namespace);
  if (all.length <= limit) return undefined;
  const age = ageOf(app);
  if (all.filter((other) => ageOf(other) < age).length < limit) return undefined;
  return `the operator serves at most ${limit} AIApps of namespace ${namespace}, the oldest ones, and this one is newer: delete others, or ask an administrator to raise namespaceLimits.apps`;
}

/** As a text that sorts: on the wire times are texts, of whole seconds. */
function ageOf({ metadata }: KubernetesObject): string {
  const { creationTimestamp, name = "" } = metadata ?? {};
  return `${String(creationTimestamp)} ${name}`;
}
