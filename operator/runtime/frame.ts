import k8sOperator, {
  type OperatorLogger,
  type ResourceEvent,
  type ResourceMeta,
} from "@dot-i/k8s-operator";

import { sleep, type Clock } from "../clock.ts";
import { createClients, type Clients, type Kube } from "../kube/client.ts";
import type { Kind, KubernetesObject } from "../kube/types.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { startController, type ControllerOptions } from "./controller.ts";
import type { Change, IndexerOptions } from "./indexer.ts";
import { startInformer, type Informer } from "./informer.ts";
import { lead, LEASE, type ElectionOptions, type Leadership } from "./leader.ts";
import type { Queue } from "./queue.ts";

export interface FrameParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Wait for this Lease before `init`; of several processes one works. */
  readonly election?: Pick<ElectionOptions, "namespace" | "name" | "identity"> &
    Partial<Pick<ElectionOptions, "leaseSeconds" | "renewDeadlineSeconds" | "retrySeconds">>;
}

export interface WatchSettings<T extends KubernetesObject> extends Pick<
  IndexerOptions<T>,
  "transform" | "indexBy" | "onChange"
> {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string;
}

/** An event of `watchResource`, with what the informer knows beside it. */
export interface ResourceChange extends ResourceEvent {
  readonly change: Change<KubernetesObject>;
}

export interface ResourceSettings {
  /** Set on every object; the plural when not given. */
  readonly kind?: string;
  readonly transform?: (object: KubernetesObject) => KubernetesObject;
  readonly indexBy?: (object: KubernetesObject) => string | undefined;
}

const REQUEST_TIMEOUT_MS = 30_000;
/** Work that ignores its signal is abandoned after this; a pod's grace period is longer. */
const STOP_TIMEOUT_MS = 20_000;

/**
 * `@dot-i/k8s-operator`'s Operator on our informer, queue and client (docs/decisions/0001): its watch ends the process
 * when it fails and never lists again, its one queue has neither keys nor retries, and `stop` waits for nothing.
 * Subclasses fill `init`; `start` and `shutdown` are called once.
 */
export abstract class OperatorFrame extends k8sOperator.default {
  protected readonly kube: Kube;
  protected readonly kubeAs: Clients["kubeAs"];
  protected readonly clock: Clock;
  protected readonly log: Logger;
  protected readonly metrics: Metrics;
  /** Aborted by `stop` and by the loss of the Lease: ends every watch and all work. */
  protected readonly running = new AbortController();
  readonly #election: FrameParts["election"];
  readonly #informers: {
    readonly plural: string;
    readonly informer: Informer<KubernetesObject>;
  }[] = [];
  readonly #queues: Queue[] = [];
  #leadership: Leadership | undefined;
  #started = false;

  constructor(parts: FrameParts) {
    super(loggerOf(parts.log));
    this.log = parts.log;
    this.clock = parts.clock;
    this.metrics = parts.metrics;
    this.#election = parts.election;
    const { kube, kubeAs } = createClients({
      config: this.kubeConfig,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      onResponse: (method, code, host) =>
        parts.metrics.kubeRequests.inc({ method, code: String(code), host }),
    });
    this.kube = kube;
    this.kubeAs = kubeAs;
  }

  /** Aborted when the operator is to end: stopped, or no longer the leader. */
  get ended(): AbortSignal {
    return this.running.signal;
  }

  /** Waits for the Lease, if there is one, then runs `init`. */
  override async start(): Promise<void> {
    if (this.#election !== undefined) {
      const { kube, clock, log, metrics } = this;
      const options = { ...LEASE, ...this.#election, kube, clock, log, metrics };
      this.#leadership = await lead(options, this.running.signal);
      if (this.#leadership === undefined) return;
      this.#leadership.signal.addEventListener("abort", () => this.running.abort(), {
        once: true,
      });
    }
    try {
      await super.start();
    } catch (error) {
      // Stopped before the caches were filled.
      if (this.running.signal.aborted) return;
      throw error;
    }
    this.#started = true;
  }

  /** Ends every watch, waits for the work in flight, then releases the Lease. */
  async shutdown(): Promise<void> {
    this.running.abort();
    const bound = new AbortController();
    await Promise.race([
      Promise.all(this.#queues.map((queue) => queue.close())),
      sleep(this.clock, STOP_TIMEOUT_MS, bound.signal).then(() => {
        if (!bound.signal.aborted) this.log.warn("work did not end in time");
      }),
    ]);
    bound.abort();
    await this.#leadership?.release();
  }

  /** The frame's own method, which returns before the shutdown is done. */
  override stop(): void {
    void this.shutdown();
  }

  /** Whether this process is ready: it stands by, or it leads and every cache holds its first list. */
  isReady(): boolean {
    if (this.running.signal.aborted) return false;
    if (this.#election !== undefined && this.#leadership === undefined) return true;
    return this.#started && this.isSynced();
  }

  /** Whether every cache holds its first list. */
  isSynced(): boolean {
    return (
      this.#informers.length > 0 && this.#informers.every(({ informer }) => informer.isSynced())
    );
  }

  /** Lists and watches a kind; the returned informer is its cache. */
  protected watch<T extends KubernetesObject>(
    kind: Kind<T>,
    settings: WatchSettings<T>,
  ): Informer<T> {
    const { kube, clock, log } = this;
    const informer = startInformer({ kube, kind, clock, log, ...settings }, this.running.signal);
    this.#informers.push({ plural: kind.plural, informer });
    return informer;
  }

  /** The caches of a kind that is watched: one per call of `watch` or `watchResource`. */
  protected informersOf<T extends KubernetesObject>({ plural }: Kind<T>): readonly Informer<T>[] {
    const found = this.#informers.filter((one) => one.plural === plural);
    if (found.length === 0) throw new TypeError(`${plural} are not watched`);
    // Filed under the plural of their kind by `watch`.
    return found.map(({ informer }) => informer as Informer<T>);
  }

  /** A controller's queue. Its work begins when every cache that is watched by then holds its first list. */
  protected controller(options: ControllerOptions): Queue {
    const { clock, log, metrics } = this;
    const ready = (): Promise<unknown> =>
      Promise.all(this.#informers.map(({ informer }) => informer.synced));
    const queue = startController(options, { clock, log, metrics, ready }, this.running.signal);
    this.#queues.push(queue);
    return queue;
  }

  /**
   * The frame's own entry, on our informer: lists, watches and lists again for as long as the operator runs; resolves when
   * the first list is in. `onEvent` is called in the order of the events and not waited for: it adds a key to a
   * controller's queue, which retries.
   */
  protected override async watchResource(
    group: string,
    version: string,
    plural: string,
    onEvent: (event: ResourceChange) => Promise<void>,
    namespace?: string,
    { kind = plural, transform, indexBy }: ResourceSettings = {},
  ): Promise<void> {
    const apiVersion = group === "" ? version : `${group}/${version}`;
    const id = `${plural}.${apiVersion}`;
    const { Added, Modified, Deleted } = k8sOperator.ResourceEventType;
    const informer = this.watch<KubernetesObject>(
      { apiVersion, kind, plural },
      {
        namespace,
        transform,
        indexBy,
        onChange: (object, change) => {
          const type = change.gone ? Deleted : change.previous === undefined ? Added : Modified;
          onEvent({ meta: metaOf(id, object), object, type, change }).catch((error: unknown) =>
            this.log.error({ resource: id, error }, "handling an event failed"),
          );
        },
      },
    );
    await informer.synced;
  }
}

function metaOf(id: string, { apiVersion, kind, metadata }: KubernetesObject): ResourceMeta {
  const { name = "", namespace, resourceVersion = "" } = metadata ?? {};
  return {
    id,
    name,
    ...(namespace !== undefined && { namespace }),
    resourceVersion,
    apiVersion: apiVersion ?? "",
    kind: kind ?? "",
  };
}

function loggerOf(log: Logger): OperatorLogger {
  return {
    debug: (message) => log.debug(message),
    info: (message) => log.info(message),
    warn: (message) => log.warn(message),
    error: (message) => log.error(message),
  };
}
