import { KIND, labels } from "../../../crds/names.ts";
import type { Kube } from "../../kube/client.ts";
import type { Kind, KubernetesObject } from "../../kube/types.ts";

/**
 * A `Kube` that reports each write of a reconcile to an object that is not of the app that is reconciled: no app is
 * changed by what happens to another.
 *
 * @param api reads what a write changes
 * @param appOf the key of the app that is reconciled
 */
export function checkOwnWrites(
  kube: Kube,
  api: Pick<Kube, "get">,
  appOf: () => string | undefined,
  report: (what: string) => void,
): Kube {
  function check(kind: Kind, object: KubernetesObject): void {
    const app = appOf();
    const owner = ownerOf(kind, object);
    const { namespace, name } = object.metadata ?? {};
    if (owner !== app)
      report(
        `a reconcile of ${app} writes ${kind.kind} ${namespace}/${name}, which is of ${owner}`,
      );
  }
  async function checkLive(
    kind: Kind,
    namespace: string | undefined,
    name: string,
    signal: AbortSignal,
  ): Promise<void> {
    const live = await api.get(kind, namespace, name, signal);
    if (live !== undefined) check(kind, live);
  }
  return {
    ...kube,
    apply: async (kind, object, options, signal) => {
      const { namespace, name = "" } = object.metadata ?? {};
      await checkLive(kind, namespace, name, signal);
      // Some applies are of one field, of what is there already.
      if (object.metadata?.labels !== undefined) check(kind, object);
      return kube.apply(kind, object, options, signal);
    },
    create: (kind, object, signal) => {
      check(kind, object);
      return kube.create(kind, object, signal);
    },
    replace: (kind, object, options, signal) => {
      check(kind, object);
      return kube.replace(kind, object, options, signal);
    },
    patch: async (kind, namespace, name, patch, options, signal) => {
      await checkLive(kind, namespace, name, signal);
      return kube.patch(kind, namespace, name, patch, options, signal);
    },
    delete: async (kind, target, signal) => {
      await checkLive(kind, target.namespace, target.name, signal);
      await kube.delete(kind, target, signal);
    },
  };
}

function ownerOf({ kind }: Kind, object: KubernetesObject): string {
  const { namespace, name } = object.metadata ?? {};
  if (kind === KIND) return `${namespace}/${name}`;
  if (kind !== "Event") return `${namespace}/${object.metadata?.labels?.[labels.app]}`;
  const about = Reflect.get(object, "involvedObject") as Record<string, unknown> | undefined;
  return `${String(about?.["namespace"])}/${String(about?.["name"])}`;
}
