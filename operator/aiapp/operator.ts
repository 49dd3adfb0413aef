import { GROUP, KIND, PLURAL, VERSION } from "../../crds/names.ts";
import { withDeadline, type Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import { kinds, type Kind, type KubernetesObject } from "../kube/types.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { createNotifier } from "../notify/notifier.ts";
import { createWebhookSender } from "../notify/webhook.ts";
import { OperatorFrame, type FrameParts, type ResourceChange } from "../runtime/frame.ts";
import type { Change } from "../runtime/indexer.ts";
import { keyOf } from "../runtime/key.ts";
import { LEASE } from "../runtime/leader.ts";
import type { Queue } from "../runtime/queue.ts";
import { createRecorder } from "../runtime/recorder.ts";
import { createAgents, type Agents, type HostPolicy } from "../sources/hosts.ts";
import { createBlobCopies } from "../sources/keep/blob-copies.ts";
import { createContainers } from "../sources/model/blob-container.ts";
import { createBlobStore } from "../sources/model/blob-store.ts";
import { createPoller, type Poller } from "../sources/poller.ts";
import { createRegistry } from "../sources/registry/registry.ts";
import { createTokenCredentials } from "../sources/workload-identity.ts";
import { CanaryMeter } from "./canary-meter.ts";
import { namespaceOf } from "./app-limit.ts";
import { appKeyOf, OWNED_SELECTOR, ownedKinds, viewOf } from "./cache.ts";
import { scrapePod } from "./pod-metrics.ts";
import { priorityOfApp, priorityOfOwned } from "./priority.ts";
import { projectApp, projectDeployment, projectObject, projectPod } from "./projections.ts";
import { freezeKind, freezeView, noFreezes } from "./freeze-view.ts";
import { noPolicies, policyKind, policyView, type PolicyView } from "./policy-view.ts";
import { NamedSecrets } from "./named-secrets.ts";
import { Reconciler } from "./reconcile.ts";
import { createSourceResolver } from "./resolve-sources.ts";
import { aiappKind } from "./status-writer.ts";

const NAME = "aiapp";
const NOTIFICATIONS = "notifications";
/** Webhooks that are called at once; namespaces take turns. */
const WEBHOOKS = 8;
const SECRETS = "secrets";
/** Secrets that are read at once, once a minute each. */
const SECRET_READERS = 2;
const SECRET_TIMEOUT_MS = 30_000;
const RECONCILE_TIMEOUT_MS = 120_000;

/** The operator: once it leads, it watches AIApps and what they own, and reconciles them. */
export class AIAppOperator extends OperatorFrame {
  readonly #config: Config;
  #poller: Poller | undefined;
  #meter: CanaryMeter | undefined;

  constructor(
    config: Config,
    parts: { readonly log: Logger; readonly clock: Clock; readonly metrics: Metrics },
  ) {
    super({ ...parts, ...(config.leaderElection && { election: electionOf(config) }) });
    this.#config = config;
  }

  protected override async init(): Promise<void> {
    const { kube, clock, log, metrics } = this;
    const config = this.#config;
    // A poll that found something new may complete a pair.
    const onChange = (key: string, isNew: boolean): void =>
      queue.add(key, isNew ? "release" : "default");
    const poller = createPoller({
      clock,
      log,
      metrics,
      onChange,
      limits: config.namespaceLimits,
    });
    this.#poller = poller;
    const policy = this.#hostPolicy();
    const hosts = { policy, agents: createAgents(policy) };
    const notifier = createNotifier({
      kube,
      clock,
      metrics,
      send: createWebhookSender(hosts.policy, hosts.agents),
      start: (reconcile) => this.controller({ name: NOTIFICATIONS, workers: WEBHOOKS, reconcile }),
      onChange: (key) => queue.add(key, "default"),
    });
    const meter = new CanaryMeter({
      clock,
      scrape: scrapePod,
      onChange: (key) => queue.add(key, "rollout"),
    });
    this.#meter = meter;
    const secrets = new NamedSecrets({
      kube,
      clock,
      start: (read) =>
        this.controller({
          name: SECRETS,
          workers: SECRET_READERS,
          reconcile: (key, signal) =>
            withDeadline(clock, SECRET_TIMEOUT_MS, signal, (bounded) => read(key, bounded)),
        }),
      onChange: (key) => queue.add(key, "default"),
    });
    const policies = config.watchPolicies
      ? policyView(
          viewOf(() => this.informersOf(policyKind)),
          viewOf(() => this.informersOf(kinds.namespace)),
        )
      : noPolicies;
    const { impersonate } = config;
    const reconciler = new Reconciler({
      kube,
      notifier,
      tenant:
        impersonate === undefined
          ? undefined
          : (namespace) => this.kubeAs(`system:serviceaccount:${namespace}:${impersonate}`),
      cache: {
        apps: viewOf(() => this.informersOf(aiappKind)),
        pods: viewOf(() => this.informersOf(kinds.pod)),
        of: (kind) => viewOf(() => this.informersOf(kind)),
      },
      poller,
      meter,
      secrets,
      resolver: this.#createSourceResolver(hosts, policies, secrets),
      policies,
      freezes: config.watchFreezes
        ? freezeView(
            viewOf(() => this.informersOf(freezeKind)),
            viewOf(() => this.informersOf(kinds.namespace)),
          )
        : noFreezes,
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
        modelServerImages: config.modelServerImages,
      },
      clock,
      log,
      metrics,
      appLimit: config.maxAppsPerNamespace,
    });
    const queue = this.controller({
      name: NAME,
      workers: config.workers,
      reconcile: (key, signal) =>
        withDeadline(clock, RECONCILE_TIMEOUT_MS, signal, (bounded) =>
          reconciler.reconcile(key, bounded),
        ),
    });
    await this.#watchAll(queue);
  }

  /** Watches AIApps, by the frame's own entry, and what they own; resolves when every AIApp is known. */
  async #watchAll(queue: Queue): Promise<void> {
    const { watchNamespaces } = this.#config;
    const namespaces = watchNamespaces.length === 0 ? [undefined] : watchNamespaces;
    const onEvent = async ({ object, change }: ResourceChange): Promise<void> =>
      queue.add(keyOf(object), priorityOfApp(object, change));
    const addOwner = (object: KubernetesObject, change: Change<KubernetesObject>): void => {
      const key = appKeyOf(object);
      if (key !== undefined) queue.add(key, priorityOfOwned(object, change));
    };
    const watchOwned = <T extends KubernetesObject>(
      kind: Kind<T>,
      transform: (object: T) => T,
    ): void => {
      for (const namespace of namespaces) {
        const labelSelector = OWNED_SELECTOR;
        const settings = { namespace, labelSelector, indexBy: appKeyOf, transform };
        this.watch(kind, { ...settings, onChange: addOwner });
      }
    };
    for (const kind of ownedKinds) {
      if (kind.plural === kinds.deployment.plural) watchOwned(kinds.deployment, projectDeployment);
      else watchOwned<KubernetesObject>(kind, projectObject);
    }
    watchOwned(kinds.pod, projectPod);
    this.#watchClusterScoped(queue);
    const settings = { kind: KIND, transform: projectApp, indexBy: namespaceOf };
    await Promise.all(
      namespaces.map((namespace) =>
        this.watchResource(GROUP, VERSION, PLURAL, onEvent, namespace, settings),
      ),
    );
  }

  /** A freeze or a policy that changes, or a label of a namespace, may let releases of many apps begin. */
  #watchClusterScoped(queue: Queue): void {
    const { watchFreezes, watchPolicies } = this.#config;
    if (!watchFreezes && !watchPolicies) return;
    const apps = viewOf(() => this.informersOf(aiappKind));
    const onChange = (): void => {
      for (const app of apps.all()) queue.add(keyOf(app), "background");
    };
    if (watchFreezes) this.watch(freezeKind, { transform: projectObject, onChange });
    if (watchPolicies) this.watch(policyKind, { transform: projectObject, onChange });
    this.watch(kinds.namespace, { transform: projectObject, onChange });
  }

  #hostPolicy(): HostPolicy {
    const { insecureHosts, allowLoopback, deniedNetworks, caBundle } = this.#config;
    return { insecureHosts: new Set(insecureHosts), allowLoopback, deniedNetworks, caBundle };
  }

  #createSourceResolver(
    { policy, agents }: { readonly policy: HostPolicy; readonly agents: Agents },
    policies: PolicyView,
    secrets: NamedSecrets,
  ): ReturnType<typeof createSourceResolver> {
    const { kube, clock } = this;
    const config = this.#config;
    const credentials = createTokenCredentials({
      createToken: kube.createToken,
      authorityHost: config.azureAuthorityHost,
    });
    const shared = { policy, agents, credentials };
    const registry = createRegistry({
      azureSuffixes: config.azureRegistrySuffixes,
      tokenHosts: config.registryTokenHosts,
      ...shared,
    });
    const open = createContainers({ azureSuffixes: config.azureStorageSuffixes, ...shared });
    return createSourceResolver({
      kube,
      secrets,
      policies,
      clock,
      registry,
      models: createBlobStore(open, agents.budget),
      copies: createBlobCopies(open),
      tenantId: config.azureTenantId,
    });
  }

  override async shutdown(): Promise<void> {
    const stopping = super.shutdown();
    this.#meter?.close();
    await this.#poller?.close();
    await stopping;
  }
}

/** Of several replicas one works; a short Lease, for tests, is renewed as often in proportion. */
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
