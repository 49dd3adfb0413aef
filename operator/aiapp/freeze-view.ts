import { AIAppReleaseFreeze } from "../../crds/freeze.ts";
import { API_VERSION, FREEZE_KIND, FREEZE_PLURAL } from "../../crds/names.ts";
import type { Kind, KubernetesObject } from "../kube/types.ts";
import type { View } from "./cache.ts";
import { labelsOf } from "./namespace-labels.ts";
import { parseFreeze, type Freeze } from "./release/freeze.ts";
import type { Freezes } from "./release/timing.ts";

export const freezeKind: Kind = {
  apiVersion: API_VERSION,
  kind: FREEZE_KIND,
  plural: FREEZE_PLURAL,
};

/** What is frozen where. */
export interface FreezeView {
  readonly of: (namespace: string) => Freezes;
}

/** Without the right to read freezes: nothing is frozen. */
export const noFreezes: FreezeView = { of: () => ({ all: [], labels: {} }) };

/** Freezes and the labels of namespaces, from caches. A freeze is parsed once for each version of it. */
export function freezeView(
  freezes: View<KubernetesObject>,
  namespaces: View<KubernetesObject>,
): FreezeView {
  const parsed = new WeakMap<KubernetesObject, Freeze | undefined>();
  const read = (object: KubernetesObject): Freeze | undefined => {
    if (!parsed.has(object)) {
      const { data } = AIAppReleaseFreeze.safeParse(object);
      parsed.set(object, data && parseFreeze(data));
    }
    return parsed.get(object);
  };
  return {
    of: (namespace) => ({
      all: [...freezes.all()].flatMap((object) => read(object) ?? []),
      labels: labelsOf(namespaces.get("", namespace)),
    }),
  };
}
