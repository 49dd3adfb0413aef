import k8sOperator, {
  type OperatorLogger,
  type ResourceEvent,
  type ResourceMeta,
} from "@dot-i/k8s-operator";

import { sleep, type Clock } from "../clock.ts";
import { OperatorError } from "../errors.ts";
import { createKube, type Kube } from "../kube/client.ts";
import type { Kind, KubernetesObject } from "../kube/types.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { startReconciler, type Reconciler } from "./controller.ts";
import { startInformer, type Change, type Informer } from "./informer.ts";
import { keyOf, splitKey } from "./key.ts";
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

export interface WatchSettings<T extends KubernetesObject> {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string;
  readonly indexBy?: (object: T) => string | undefined;
  readonly keepManagedFields?: boolean;
  readonly onChange: (object: T, change: Change<T>) => void;
}

const REQUEST_TIMEOUT_MS = 30_000;
/** Work that does not heed its signal is not waited for any longer; a pod's grace period is longer. */
const STOP_TIMEOUT_MS = 20_000;

/**
 * `@dot-i/k8s-operator`'s Operator, with what it does badly replaced (docs/decisions/0001): its watch ends the process
 * when it fails and never lists again, its one queue has neither keys nor retries, its writes hide their errors, and
 * `stop` exits with 1. Subclasses fill `init`; `start` and `shutdown` are called once.
 */
export abstract class OperatorFrame extends k8sOperator.default {
  protected readonly kube: Kube;
  protected readonly clock: Clock;
  protected readonly log: Logger;
  protected readonly metrics: Metrics;
  /** Aborted by `stop` and by the loss of the Lease: ends every watch and all work. */
  protected readonly running = new AbortController();
  readonly #election: FrameParts["election"];
  readonly #informers: Informer<KubernetesObject>[] = [];
  readonly #queues: Queue[] = [];
  #leadership: Leadership | undefined;
  #started = false;

  constructor(parts: FrameParts) {
    super(loggerOf(parts.log));
    this.log = parts.log;
    this.clock = parts.clock;
    this.metrics = parts.metrics;
    this.#election = parts.election;
    this.kube = createKube({
      config: this.kubeConfig,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      onResponse: (method, code, host) =>
        parts.metrics.kubeRequests.inc({ method, code: String(code), host }),
    });
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
    await super.start();
    this.#started = true;
  }

  /** Ends every watch, waits for the work under way, then gives the Lease back. */
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

  /** The frame's own way to end, which waits for nothing. */
  override stop(): void {
    void this.shutdown();
  }

  /** Whether this process does what it should: stands by, or works with every cache filled. */
  isReady(): boolean {
    if (this.running.signal.aborted) return false;
    if (this.#election !== undefined && this.#leadership === undefined) return true;
    return this.#started && this.isSynced();
  }

  /** Whether every cache holds a first list. */
  isSynced(): boolean {
    return this.#informers.length > 0 && this.#informers.every((informer) => informer.isSynced());
  }

  /** Lists and watches a kind; the returned informer is the cache. */
  protected watch<T extends KubernetesObject>(
    kind: Kind<T>,
    settings: WatchSettings<T>,
  ): Informer<T> {
    const { kube, clock, log } = this;
    const informer = startInformer({ kube, kind, clock, log, ...settings }, this.running.signal);
    this.#informers.push(informer);
    return informer;
  }

  /** A queue for reconciling; its work begins when every cache that was asked for by then holds its first list. */
  protected reconciler(options: Reconciler): Queue {
    const { clock, log, metrics } = this;
    const ready = (): Promise<unknown> =>
      Promise.all(this.#informers.map((informer) => informer.synced));
    const queue = startReconciler(options, { clock, log, metrics, ready }, this.running.signal);
    this.#queues.push(queue);
    return queue;
  }

  /** The frame's own entry, on our informer and queue: resolves when the first list is in; failed events come again. */
  protected override async watchResource(
    group: string,
    version: string,
    plural: string,
    onEvent: (event: ResourceEvent) => Promise<void>,
    namespace?: string,
  ): Promise<void> {
    const apiVersion = group === "" ? version : `${group}/${version}`;
    const id = `${plural}.${apiVersion}`;
    const { Added, Modified, Deleted } = k8sOperator.ResourceEventType;
    const told = new Set<string>();
    const gone = new Map<string, KubernetesObject>();
    const queue = this.reconciler({
      name: id,
      workers: 1,
      reconcile: async (key) => {
        const { namespace, name } = splitKey(key);
        const present = informer.get(namespace, name);
        const object = structuredClone(present ?? gone.get(key));
        if (object === undefined) return { kind: "done" };
        const type = present === undefined ? Deleted : told.has(key) ? Modified : Added;
        await onEvent({ meta: metaOf(id, object), object, type });
        gone.delete(key);
        if (present === undefined) told.delete(key);
        else told.add(key);
        return { kind: "done" };
      },
    });
    const informer = this.watch<KubernetesObject>(
      { apiVersion, kind: plural, plural },
      {
        namespace,
        onChange: (object, change) => {
          if (change.gone) gone.set(keyOf(object), object);
          queue.add(keyOf(object));
        },
      },
    );
    await informer.synced;
  }

  protected override getCustomResourceApiUri(
    group: string,
    version: string,
    plural: string,
    namespace?: string,
  ): string {
    const server = this.kubeConfig.getCurrentCluster()?.server ?? "";
    const base = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
    return `${server}${base}${namespace === undefined ? "" : `/namespaces/${namespace}`}/${plural}`;
  }

  protected override registerCustomResourceDefinition(): Promise<never> {
    const message =
      "CustomResourceDefinitions come with the chart: the operator may not write them";
    return Promise.reject(new OperatorError("KUBE_FORBIDDEN", message));
  }

  protected override async setResourceStatus(
    meta: ResourceMeta,
    status: unknown,
  ): Promise<ResourceMeta> {
    const { name, namespace, resourceVersion } = meta;
    const metadata = { name, resourceVersion, ...(namespace !== undefined && { namespace }) };
    const body: KubernetesObject & { status: unknown } = { metadata, status };
    const options = { subresource: "status" } as const;
    const answer = await this.kube.replace(kindOf(meta), body, options, this.running.signal);
    return metaOf(meta.id, answer);
  }

  protected override async patchResourceStatus(
    meta: ResourceMeta,
    status: unknown,
  ): Promise<ResourceMeta> {
    const { name, namespace, resourceVersion } = meta;
    const patch = { metadata: { resourceVersion }, status };
    const options = { subresource: "status" } as const;
    const { kube, running } = this;
    return metaOf(
      meta.id,
      await kube.patch(kindOf(meta), namespace, name, patch, options, running.signal),
    );
  }

  protected override async setResourceFinalizers(
    meta: ResourceMeta,
    finalizers: string[],
  ): Promise<void> {
    const { name, namespace, resourceVersion } = meta;
    // The whole list is replaced: of another version it might undo what others added.
    const patch = { metadata: { finalizers, resourceVersion } };
    await this.kube.patch(kindOf(meta), namespace, name, patch, {}, this.running.signal);
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

/** The frame's ids are `<plural>.<apiVersion>`. */
function kindOf({ id, apiVersion, kind }: ResourceMeta): Kind {
  return { apiVersion, kind, plural: id.slice(0, id.length - apiVersion.length - 1) };
}

function loggerOf(log: Logger): OperatorLogger {
  return {
    debug: (message) => log.debug(message),
    info: (message) => log.info(message),
    warn: (message) => log.warn(message),
    error: (message) => log.error(message),
  };
}
