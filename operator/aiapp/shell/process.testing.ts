import { setImmediate } from "node:timers/promises";

import type { ManualClock } from "../../clock.testing.ts";
import { backoff } from "../../clock.ts";
import { isOperatorError } from "../../errors.ts";
import type { Kube } from "../../kube/client.ts";
import { ProcessEnded, surround } from "../../kube/faults.testing.ts";
import { openStaleView, type StaleView } from "../../kube/stale-view.testing.ts";
import { kinds, type Kind, type KubernetesObject, type V1Pod } from "../../kube/types.ts";
import type { Logger } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import { createNotifier } from "../../notify/notifier.ts";
import { startController } from "../../runtime/controller.ts";
import { splitKey } from "../../runtime/key.ts";
import { BACKOFF, type Queue, type StartQueue } from "../../runtime/queue.ts";
import { createRecorder } from "../../runtime/recorder.ts";
import { createPoller, type Poller } from "../../sources/poller.ts";
import { CanaryMeter } from "../canary-meter.ts";
import { namespaceOf } from "../app-limit.ts";
import { appKeyOf, OWNED_SELECTOR, ownedKinds, type View } from "../cache.ts";
import type { FreezeView } from "../freeze-view.ts";
import { NamedSecrets } from "../named-secrets.ts";
import { noPolicies } from "../policy-view.ts";
import { projectApp, projectDeployment, projectObject, projectPod } from "../projections.ts";
import { Reconciler } from "../reconcile.ts";
import { createSourceResolver } from "../resolve-sources.ts";
import type { PullerSettings } from "../resources/template.ts";
import { aiappKind } from "../status-writer.ts";
import { checkSources } from "./checked-sources.testing.ts";
import { checkOwnWrites } from "./own-writes.testing.ts";
import type { Sources } from "./sources.testing.ts";
import type { Webhooks } from "./webhooks.testing.ts";

/** How far the caches of a process are behind. */
export interface Staleness {
  /** Each cache lags by so many events, until nothing else happens. */
  readonly lag: number;
  /** Only the cache of this kind lags: caches are watched one by one. */
  readonly only?: Kind;
  /**
   * The event that a cache never gets, counted from 1; it lists again a minute later. The cache of AIApps gets all: what
   * users ask for a minute later may rightly end otherwise.
   */
  readonly misses?: number;
}

export const FRESH: Staleness = { lag: 0 };
const RELIST_MS = 60_000;

export interface ProcessParts {
  /** What the caches list and watch. */
  readonly api: Kube;
  /** What reconciles read and write with. */
  readonly kube: Kube;
  readonly clock: ManualClock;
  readonly sources: Sources;
  readonly webhooks: Webhooks;
  readonly freezes: FreezeView;
  readonly puller: PullerSettings;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** The keys of the apps. */
  readonly apps: readonly string[];
  readonly appLimit: number;
  readonly staleness: Staleness;
}

/** One process of the operator: it begins with nothing in memory, and loses all of that when it ends. */
export class OperatorProcess {
  readonly #parts: ProcessParts;
  readonly #views: readonly StaleView<KubernetesObject>[];
  /** Plural names. */
  readonly #kinds: ReadonlyMap<StaleView<KubernetesObject>, string>;
  readonly #apps: StaleView<KubernetesObject>;
  readonly #poller: Poller;
  readonly #meter: CanaryMeter;
  readonly #queues: Queue[] = [];
  readonly #reconciler: Reconciler;
  readonly #stop = new AbortController();
  /** The keys of apps that are to be reconciled, in their order. */
  readonly #due: Set<string>;
  readonly #cancelWakes = new Map<string, () => void>();
  /** In a row, by app. */
  readonly #failures = new Map<string, number>();
  #hasEnded = false;
  #delivered = 0;
  #reconciling: Promise<void> | undefined;
  /** The key of the app of the last reconcile. */
  #app: string | undefined;
  /** What reconciles failed with that only a mistake of the operator explains. */
  readonly mistakes: unknown[] = [];

  static async start(parts: ProcessParts): Promise<OperatorProcess> {
    const { api } = parts;
    const ofApps = { labelSelector: OWNED_SELECTOR, indexBy: appKeyOf };
    const apps = await openStaleView(api, aiappKind, { keep: projectApp, indexBy: namespaceOf });
    const pods = await openStaleView(api, kinds.pod, { ...ofApps, keep: projectPod });
    const owned = new Map<string, StaleView<KubernetesObject>>();
    for (const kind of ownedKinds)
      owned.set(
        kind.plural,
        kind.plural === kinds.deployment.plural
          ? await openStaleView(api, kinds.deployment, { ...ofApps, keep: projectDeployment })
          : await openStaleView(api, kind, { ...ofApps, keep: projectObject }),
      );
    return new OperatorProcess(parts, apps, pods, owned);
  }

  private constructor(
    parts: ProcessParts,
    apps: StaleView<KubernetesObject>,
    pods: StaleView<V1Pod>,
    owned: ReadonlyMap<string, StaleView<KubernetesObject>>,
  ) {
    const { clock, log, metrics, webhooks, puller } = parts;
    this.#parts = parts;
    this.#due = new Set(parts.apps);
    this.#apps = apps;
    this.#views = [apps, pods, ...owned.values()];
    this.#kinds = new Map(
      [...owned, [kinds.pod.plural, this.#views[1]] as const].flatMap(([plural, view]) =>
        view === undefined ? [] : [[view, plural] as const],
      ),
    );
    // Nothing that an ended process began may still act.
    const living = surround(parts.kube, async (_, __, run) => {
      if (this.#hasEnded) throw new ProcessEnded("the process has ended");
      try {
        return await run();
      } catch (error) {
        if (error instanceof ProcessEnded) this.#hasEnded = true;
        throw error;
      }
    });
    const report = (what: string): void => void this.mistakes.push(new Error(what));
    const kube = checkOwnWrites(living, parts.api, () => this.#app, report);
    const sources = checkSources(parts.sources, clock, report);
    const onChange = (app: string): void => void this.#due.add(app);
    this.#poller = createPoller({ clock, log, metrics, onChange });
    const start =
      (name: string): StartQueue =>
      (reconcile) => {
        const queue = startController(
          { name, workers: 2, reconcile },
          { clock, log, metrics, ready: async () => undefined },
          this.#stop.signal,
        );
        this.#queues.push(queue);
        return queue;
      };
    const { send } = webhooks;
    const notifier = createNotifier({
      kube,
      clock,
      metrics,
      send,
      start: start("notifications"),
      onChange,
    });
    const secrets = new NamedSecrets({ kube, clock, start: start("secrets"), onChange });
    // Pods of another server than ours: steps are judged on readiness.
    this.#meter = new CanaryMeter({
      clock,
      scrape: async () => undefined,
      onChange,
    });
    this.#reconciler = new Reconciler({
      meter: this.#meter,
      kube,
      notifier,
      cache: {
        apps,
        pods,
        // Filed under their kind above.
        of: <T extends KubernetesObject>(kind: Kind<T>) =>
          owned.get(kind.plural) as View<KubernetesObject> as View<T>,
      },
      poller: this.#poller,
      secrets,
      resolver: createSourceResolver({
        policies: noPolicies,
        kube,
        secrets,
        clock,
        ...sources,
        tenantId: "tenant",
      }),
      freezes: parts.freezes,
      policies: noPolicies,
      recorder: createRecorder({ kube, component: "operator", instance: "0", clock, log }),
      puller,
      clock,
      log,
      metrics,
      appLimit: parts.appLimit,
    });
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Takes what its caches are given, and reconciles if that or anything else is a reason to. */
  async turn(isPaused: () => boolean): Promise<boolean> {
    if (this.#hasEnded || this.#reconciling !== undefined) return false;
    const { lag, only } = this.#parts.staleness;
    this.#deliver((view) =>
      only === undefined || this.#kinds.get(view) === only.plural
        ? Math.max(0, view.pending() - lag)
        : view.pending(),
    );
    const [app] = this.#due;
    if (app === undefined) return false;
    this.#due.delete(app);
    this.#app = app;
    const ended = this.#reconcile(app).finally(() => {
      this.#reconciling = undefined;
    });
    this.#reconciling = ended;
    // A paused write holds its process, and no other one.
    for (let turns = 0; turns < 1000; turns += 1) {
      if (this.#reconciling === undefined || isPaused()) return true;
      await setImmediate();
    }
    throw new Error("a reconcile does not end");
  }

  /** Something that no cache of ours shows has changed. */
  wake(): void {
    for (const app of this.#parts.apps) this.#due.add(app);
  }

  /** Nothing else happens: the oldest event that waits arrives. */
  catchUp(): boolean {
    if (this.#hasEnded) return false;
    let missing = 1;
    this.#deliver((view) => (view.pending() > 0 && missing-- > 0 ? 1 : 0));
    return missing < 1;
  }

  /** Ends what it does, without another write. */
  async end(): Promise<void> {
    this.#hasEnded = true;
    for (const cancel of this.#cancelWakes.values()) cancel();
    this.#stop.abort();
    this.#meter.close();
    await this.#poller.close();
    // The metrics outlive the process, and hold what is not closed.
    for (const queue of this.#queues) await queue.close();
    for (const view of this.#views) await view.close();
  }

  /** Waits for the reconcile that a pause held. */
  async finish(): Promise<void> {
    await this.#reconciling;
  }

  #deliver(count: (view: StaleView<KubernetesObject>) => number): void {
    const { misses } = this.#parts.staleness;
    for (const view of this.#views) {
      for (let left = count(view); left > 0; left -= 1) {
        if (view !== this.#apps) this.#delivered += 1;
        if (view !== this.#apps && this.#delivered === misses) {
          view.miss();
          this.#parts.clock.after(RELIST_MS, () => void this.#relist(view));
          continue;
        }
        for (const object of view.deliver(1)) {
          const { namespace, name } = object.metadata ?? {};
          this.#due.add(view === this.#apps ? `${namespace}/${name}` : (appKeyOf(object) ?? ""));
        }
      }
    }
  }

  async #relist(view: StaleView<KubernetesObject>): Promise<void> {
    if (this.#hasEnded) return;
    await view.relist();
    this.wake();
  }

  async #reconcile(app: string): Promise<void> {
    const { clock } = this.#parts;
    this.#cancelWakes.get(app)?.();
    try {
      const outcome = await this.#reconciler.reconcile(app, this.#stop.signal);
      this.#failures.delete(app);
      if (outcome.kind === "requeue") this.#wakeAfter(app, outcome.afterMs);
    } catch (error) {
      if (this.#hasEnded) return;
      // Another writer was faster, or the API server refuses: the queue tries again, later each time.
      const isExpected =
        isOperatorError(error, "KUBE_CONFLICT", "KUBE_INVALID", "KUBE_FORBIDDEN") ||
        // The garbage collector was faster.
        (isOperatorError(error, "KUBE_NOT_FOUND") && (await this.#isDeleted(app)));
      if (!isExpected) this.mistakes.push(error);
      const failures = this.#failures.get(app) ?? 0;
      this.#wakeAfter(app, backoff(failures, BACKOFF.baseMs, BACKOFF.maxMs, clock.random));
      this.#failures.set(app, failures + 1);
    }
  }

  async #isDeleted(app: string): Promise<boolean> {
    const { api } = this.#parts;
    const { namespace, name } = splitKey(app);
    return (await api.get(aiappKind, namespace, name, this.#stop.signal)) === undefined;
  }

  #wakeAfter(app: string, ms: number): void {
    const cancel = this.#parts.clock.after(ms, () => void this.#due.add(app));
    this.#cancelWakes.set(app, cancel);
  }
}
