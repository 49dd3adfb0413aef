import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import { kinds, type Kind, type KubernetesObject } from "../kube/types.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { OperatorFrame, type FrameParts } from "../runtime/frame.ts";
import { keyOf } from "../runtime/key.ts";
import { LEASE } from "../runtime/leader.ts";
import { createRecorder } from "../runtime/recorder.ts";
import { createBlobStore, createContainers } from "../sources/blob.ts";
import { createAgents } from "../sources/hosts.ts";
import { createPoller, type Poller } from "../sources/poller.ts";
import { createRegistry } from "../sources/registry.ts";
import { createTokenCredentials } from "../sources/workload.ts";
import { appKeyOf, OWNED_SELECTOR, ownedKinds, viewOf, type Cache, type View } from "./cache.ts";
import { Reconciler } from "./reconcile.ts";
import { createSourceResolver } from "./resolve-sources.ts";
import { aiappKind } from "./status-writer.ts";

const NAME = "aiapp";
const RECONCILE_TIMEOUT_MS = 120_000;

/** The operator: once it leads, it watches AIApps and what they own, and reconciles them. */
export class AIAppOperator extends OperatorFrame {
  readonly #config: Config;
  #poller: Poller | undefined;

  constructor(
    config: Config,
    parts: { readonly log: Logger; readonly clock: Clock; readonly metrics: Metrics },
  ) {
    super({ ...parts, ...(config.leaderElection && { election: electionOf(config) }) });
    this.#config = config;
  }

  protected override init(): Promise<void> {
    const { kube, clock, log, metrics } = this;
    const config = this.#config;
    const cache: Cache = this.#watchAll((key) => queue.add(key));
    const poller = createPoller({ clock, log, metrics, onChange: (key) => queue.add(key) });
    this.#poller = poller;
    const reconciler = new Reconciler({
      kube,
      cache,
      poller,
      resolver: this.#createSourceResolver(),
      recorder: createRecorder({
        kube,
        component: "aiapp-operator",
        instance: config.podName,
        clock,
        log,
      }),
      puller: {
        image: config.operatorImage,
        azureStorageSuffixes: config.azureStorageSuffixes,
        insecureHosts: config.insecureHosts,
        caBundle: config.caBundle,
      },
      clock,
      log,
      metrics,
    });
    const queue = this.reconciler({
      name: NAME,
      workers: config.workers,
      reconcile: (key, signal) =>
        reconciler.reconcile(
          key,
          AbortSignal.any([signal, AbortSignal.timeout(RECONCILE_TIMEOUT_MS)]),
        ),
    });
    return Promise.resolve();
  }

  #watchAll(add: (key: string) => void): Cache {
    const { watchNamespaces } = this.#config;
    const namespaces = watchNamespaces.length === 0 ? [undefined] : watchNamespaces;
    const enqueue = (object: KubernetesObject): void => {
      const key = appKeyOf(object);
      if (key !== undefined) add(key);
    };
    const view = <T extends KubernetesObject>(kind: Kind<T>): View<T> =>
      viewOf(
        namespaces.map((namespace) =>
          this.watch(kind, {
            namespace,
            labelSelector: OWNED_SELECTOR,
            indexBy: appKeyOf,
            // They tell whether `replicas` is still ours, before we let an autoscaler have it.
            keepManagedFields: kind.plural === kinds.deployment.plural,
            onChange: enqueue,
          }),
        ),
      );
    const owned = new Map<string, View<KubernetesObject>>();
    for (const kind of ownedKinds) owned.set(kind.plural, view<KubernetesObject>(kind));
    return {
      apps: viewOf(
        namespaces.map((namespace) =>
          this.watch(aiappKind, { namespace, onChange: (app) => add(keyOf(app)) }),
        ),
      ),
      pods: view(kinds.pod),
      of: <T extends KubernetesObject>(kind: Kind<T>) => {
        const found = owned.get(kind.plural);
        if (found === undefined) throw new TypeError(`${kind.plural} are not watched`);
        // Filed under their kind above.
        return found as View<T>;
      },
    };
  }

  #createSourceResolver(): ReturnType<typeof createSourceResolver> {
    const { kube, clock } = this;
    const config = this.#config;
    const policy = {
      insecureHosts: new Set(config.insecureHosts),
      allowLoopback: config.allowLoopback,
      caBundle: config.caBundle,
    };
    const agents = createAgents(policy);
    const credentials = createTokenCredentials({
      createToken: kube.createToken,
      authorityHost: config.azureAuthorityHost,
    });
    const shared = { policy, agents, credentials };
    const registry = createRegistry({ azureSuffixes: config.azureRegistrySuffixes, ...shared });
    const models = createBlobStore(
      createContainers({ azureSuffixes: config.azureStorageSuffixes, ...shared }),
    );
    return createSourceResolver({ kube, clock, registry, models, tenantId: config.azureTenantId });
  }

  override async shutdown(): Promise<void> {
    const stopping = super.shutdown();
    await this.#poller?.close();
    await stopping;
  }
}

/** Of several replicas one works; a short lease, for tests, is renewed as often in proportion. */
function electionOf(config: Config): NonNullable<FrameParts["election"]> {
  const { leaseSeconds } = config;
  return {
    namespace: config.podNamespace,
    name: "aiapp-operator",
    identity: config.podName,
    leaseSeconds,
    renewDeadlineSeconds: Math.min(LEASE.renewDeadlineSeconds, leaseSeconds * 0.85),
    retrySeconds: Math.min(LEASE.retrySeconds, leaseSeconds / 5),
  };
}
