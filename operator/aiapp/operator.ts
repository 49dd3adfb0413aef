import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import { errors, isOperatorError } from "../errors.ts";
import type { Kind, KubernetesObject } from "../kube/types.ts";
import { kinds } from "../kube/types.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { OperatorFrame } from "../runtime/frame.ts";
import { lead, LEASE, type Leadership } from "../runtime/leader.ts";
import { createQueue, type Queue } from "../runtime/queue.ts";
import { createRecorder } from "../runtime/recorder.ts";
import { createBlobStore, createContainers } from "../sources/blob.ts";
import { createAgents } from "../sources/hosts.ts";
import { createPoller, type Poller } from "../sources/poller.ts";
import { createRegistry } from "../sources/registry.ts";
import { createTokenCredentials } from "../sources/workload.ts";
import { appKeyOf, OWNED_SELECTOR, ownedKinds, viewOf, type Cache, type View } from "./cache.ts";
import { aiappKind, createReconciler } from "./controller.ts";
import { createNamer } from "./sources.ts";

const NAME = "aiapp";

/** The operator: watches AIApps and what they own, and reconciles them while it leads. */
export class AIAppOperator extends OperatorFrame {
  readonly #config: Config;
  #queue: Queue | undefined;
  #poller: Poller | undefined;
  #leadership: Leadership | undefined;
  #cache: Cache | undefined;
  /** Resolves when leading is over, by loss or by `stop`. */
  readonly over = Promise.withResolvers<"stopped" | "lost">();

  constructor(
    config: Config,
    parts: { readonly log: Logger; readonly clock: Clock; readonly metrics: Metrics },
  ) {
    super(parts);
    this.#config = config;
  }

  protected override async init(): Promise<void> {
    const cache = this.#watchAll();
    this.#cache = cache;
    const { signal } = this.running;
    if (this.#config.leaderElection) {
      this.#leadership = await lead(
        {
          kube: this.kube,
          namespace: this.#config.podNamespace,
          name: "aiapp-operator",
          identity: this.#config.podName,
          ...LEASE,
          leaseSeconds: this.#config.leaseSeconds,
          renewDeadlineSeconds: Math.min(LEASE.renewDeadlineSeconds, this.#config.leaseSeconds - 1),
          retrySeconds: Math.min(LEASE.retrySeconds, this.#config.leaseSeconds / 3),
          clock: this.clock,
          log: this.log,
        },
        signal,
      );
      if (this.#leadership === undefined) return;
      this.metrics.leader.set({ name: "aiapp-operator" }, 1);
      this.#leadership.signal.addEventListener("abort", () => {
        if (!signal.aborted) this.over.resolve("lost");
      });
    }
    this.#control(cache, this.#leadership?.signal ?? signal);
  }

  #watchAll(): Cache {
    const namespaces =
      this.#config.watchNamespaces.length === 0 ? [undefined] : this.#config.watchNamespaces;
    const enqueue = (object: KubernetesObject): void => {
      const key = appKeyOf(object);
      if (key !== undefined) this.#queue?.add(key);
    };
    const view = <T extends KubernetesObject>(kind: Kind<T>, labelSelector: string): View<T> =>
      viewOf(
        namespaces.map((namespace) =>
          this.watch(kind, { namespace, labelSelector, indexBy: appKeyOf, onChange: enqueue }),
        ),
      );
    const owned = new Map<string, View<KubernetesObject>>();
    for (const kind of ownedKinds)
      owned.set(kind.plural, view<KubernetesObject>(kind, OWNED_SELECTOR));
    return {
      apps: viewOf(
        namespaces.map((namespace) =>
          this.watch(aiappKind, { namespace, onChange: (app) => this.#queue?.add(keyOf(app)) }),
        ),
      ),
      pods: view(kinds.pod, OWNED_SELECTOR),
      of: <T extends KubernetesObject>(kind: Kind<T>) => {
        const found = owned.get(kind.plural);
        if (found === undefined) throw new TypeError(`${kind.plural} are not watched`);
        // Filed under their kind above.
        return found as View<T>;
      },
    };
  }

  #control(cache: Cache, signal: AbortSignal): void {
    const { kube, clock, log, metrics } = this;
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
    const registry = createRegistry({
      azureSuffixes: config.azureRegistrySuffixes,
      policy,
      agents,
      credentials,
    });
    const models = createBlobStore(
      createContainers({ azureSuffixes: config.azureStorageSuffixes, policy, agents, credentials }),
    );
    const poller = createPoller({ clock, log, metrics, onChange: (key) => this.#queue?.add(key) });
    const reconcile = createReconciler({
      kube,
      cache,
      poller,
      namer: createNamer({ kube, clock, registry, models, tenantId: config.azureTenantId }),
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
    const queue = createQueue({
      name: NAME,
      workers: config.workers,
      clock,
      metrics,
      work: async (key) => {
        const end = metrics.reconcileSeconds.startTimer({ controller: NAME });
        const outcome = await reconcile(
          key,
          AbortSignal.any([signal, AbortSignal.timeout(120_000)]),
        );
        end();
        metrics.reconcileTotal.inc({ controller: NAME, result: "success" });
        return outcome;
      },
      onError: (key, error) => {
        metrics.reconcileTotal.inc({ controller: NAME, result: "error" });
        metrics.reconcileErrors.inc({ controller: NAME });
        // Somebody else wrote first: look again, quietly.
        if (!isOperatorError(error, "KUBE_CONFLICT") && !signal.aborted)
          log.warn({ app: key, error }, "reconcile failed");
        const minimumMs = isOperatorError(error) ? (error.retryAfterMs ?? 0) : 0;
        const terminal = isOperatorError(error) && errors[error.code].retry === "terminal";
        return { retry: true, minimumMs: terminal ? Math.max(minimumMs, 30_000) : minimumMs };
      },
    });
    this.#poller = poller;
    void Promise.all(this.informersSynced()).then(() => {
      if (signal.aborted) return;
      this.#queue = queue;
      for (const app of cache.apps.all()) queue.add(keyOf(app));
      log.info({ workers: config.workers }, "reconciling");
    });
  }

  /** Ready to take over, or at work: caches are filled. */
  isReady(): boolean {
    return this.#cache !== undefined && this.isSynced();
  }

  /** Ends everything; what is under way is finished first, the lease is given back last. */
  async shutdown(): Promise<void> {
    await this.#queue?.close();
    await this.#poller?.close();
    await this.#leadership?.release();
    this.stop();
    this.over.resolve("stopped");
  }
}

function keyOf(object: KubernetesObject): string {
  return `${object.metadata?.namespace ?? ""}/${object.metadata?.name ?? ""}`;
}
