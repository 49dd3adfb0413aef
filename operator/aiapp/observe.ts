import type { AIApp } from "../../crds/aiapp.ts";
import type { Kube } from "../kube/client.ts";
import { kinds, type Kind, type KubernetesObject } from "../kube/types.ts";
import type { Poller } from "../sources/poller.ts";
import type { Seen } from "../sources/source.ts";
import type { Cache } from "./cache.ts";
import { milliseconds } from "./duration.ts";
import { slotOf, type Observed, type Slot, type SourceView } from "./observed.ts";
import { readRecord } from "./release.ts";
import type { createSourceResolver, ResolvedSource } from "./resolve-sources.ts";

export interface ObserveTools {
  readonly kube: Kube;
  readonly cache: Cache;
  readonly poller: Poller;
  readonly resolver: ReturnType<typeof createSourceResolver>;
}

/** Reads the world around one app. What a cache lacks is asked of the API server: absent, or somebody else's? */
export async function observe(
  app: AIApp,
  tools: ObserveTools,
  signal: AbortSignal,
): Promise<Observed> {
  const { cache, poller, resolver } = tools;
  const { namespace, name } = app.metadata;
  const key = `${namespace}/${name}`;
  const { spec } = app;

  async function slot<T extends KubernetesObject>(
    kind: Kind<T>,
    wanted: boolean,
  ): Promise<Slot<T>> {
    const cached = cache.of(kind).get(namespace, name);
    if (cached === undefined && !wanted) return { state: "absent" };
    const found = cached ?? (await tools.kube.get(kind, namespace, name, signal));
    if (found === undefined) return { state: "absent" };
    return slotOf(app, kind, found);
  }

  const several = (spec.replicas ?? spec.autoscaling?.minReplicas ?? 1) >= 2;
  const [
    image,
    model,
    deployment,
    service,
    podDisruptionBudget,
    horizontalPodAutoscaler,
    serviceAccount,
  ] = await Promise.all([
    resolver.image(app, signal),
    resolver.model(app, signal),
    slot(kinds.deployment, true),
    slot(kinds.service, true),
    slot(kinds.podDisruptionBudget, several),
    slot(kinds.horizontalPodAutoscaler, spec.autoscaling !== undefined),
    slot(kinds.serviceAccount, spec.serviceAccountName === undefined),
  ]);
  const intervalMs = milliseconds(spec.interval);
  poller.want(
    key,
    [image, model].flatMap((named) =>
      "source" in named ? [{ source: named.source, intervalMs }] : [],
    ),
  );

  function view<V extends Seen>(named: ResolvedSource<V>): SourceView<V> {
    if ("source" in named) {
      return { key: named.source.key, reference: named.reference, ...poller.get(named.source) };
    }
    return {
      key: undefined,
      reference: named.reference,
      value: undefined,
      changedAt: undefined,
      checkedAt: undefined,
      nextCheckAt: undefined,
      error: named.error,
    };
  }

  return {
    app,
    deployment,
    service,
    podDisruptionBudget,
    horizontalPodAutoscaler,
    serviceAccount,
    records: cache
      .of(kinds.controllerRevision)
      .indexed(key)
      .filter((revision) =>
        revision.metadata?.ownerReferences?.some(({ uid }) => uid === app.metadata.uid),
      )
      .flatMap((revision) => readRecord(revision) ?? []),
    pods: cache.pods.indexed(key),
    image: view(image),
    model: view(model),
  };
}
