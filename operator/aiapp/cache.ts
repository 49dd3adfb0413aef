import { labels, MANAGER } from "../../crds/names.ts";
import { kinds, type Kind, type KubernetesObject, type V1Pod } from "../kube/types.ts";
import type { Informer } from "../runtime/informer.ts";
import { ownedObjects, slotNames } from "./resources/owned.ts";

/** The caches of what the operator watches: AIApps, what they own, and their pods; each object as `projections.ts` has it. */
export interface Cache {
  readonly apps: View<KubernetesObject>;
  readonly pods: View<V1Pod>;
  readonly of: <T extends KubernetesObject>(kind: Kind<T>) => View<T>;
}

export interface View<T extends KubernetesObject> {
  readonly get: (namespace: string, name: string) => T | undefined;
  /** By app: `<namespace>/<name>`. */
  readonly indexed: (key: string) => readonly T[];
  readonly all: () => Iterable<T>;
}

/** The kinds that an AIApp owns, and that the operator caches: those of the table, and the records of its releases. */
export const ownedKinds: readonly Kind[] = [
  ...new Set<Kind>([kinds.controllerRevision, ...slotNames.map((name) => ownedObjects[name].kind)]),
];

export const OWNED_SELECTOR = `${labels.managedBy}=${MANAGER},${labels.app}`;

/** The key of the app that an object belongs to, by its label. */
export function appKeyOf(object: KubernetesObject): string | undefined {
  const labelled: unknown = Reflect.get(object.metadata ?? {}, "labels");
  const name: unknown =
    typeof labelled === "object" && labelled !== null
      ? Reflect.get(labelled, labels.app)
      : undefined;
  return typeof name === "string" ? `${object.metadata?.namespace ?? ""}/${name}` : undefined;
}

/** One view over the informers of several namespaces. */
export function viewOf<T extends KubernetesObject>(
  informers: () => readonly Informer<T>[],
): View<T> {
  return {
    get: (namespace, name) => {
      for (const informer of informers()) {
        const found = informer.get(namespace, name);
        if (found !== undefined) return found;
      }
      return undefined;
    },
    indexed: (key) => informers().flatMap((informer) => informer.indexed(key)),
    all: function* all() {
      for (const informer of informers()) yield* informer.list();
    },
  };
}
