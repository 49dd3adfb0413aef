import k8sOperator, { type OperatorLogger, type ResourceEvent } from "@dot-i/k8s-operator";

import type { Clock } from "../clock.ts";
import { createKube, type Kube } from "../kube/client.ts";
import type { Kind, KubernetesObject } from "../kube/types.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { startInformer, type Informer } from "./informer.ts";

/**
 * `@dot-i/k8s-operator`'s Operator, with what it does badly replaced (docs/decisions/0001): its watch ends the process
 * when it fails and never lists again, and its one queue has neither keys nor retries. Subclasses fill `init`.
 */
export abstract class OperatorFrame extends k8sOperator.default {
  protected readonly kube: Kube;
  protected readonly clock: Clock;
  protected readonly log: Logger;
  protected readonly metrics: Metrics;
  /** Aborted by `stop`: ends every watch. */
  protected readonly running = new AbortController();
  readonly #informers: Informer<KubernetesObject>[] = [];

  constructor(parts: { readonly log: Logger; readonly clock: Clock; readonly metrics: Metrics }) {
    super(loggerOf(parts.log));
    this.log = parts.log;
    this.clock = parts.clock;
    this.metrics = parts.metrics;
    this.kube = createKube({
      config: this.kubeConfig,
      requestTimeoutMs: 30_000,
      onAnswer: (method, code, host) =>
        parts.metrics.kubeRequests.inc({ method, code: String(code), host }),
    });
  }

  /** Lists and watches a kind; the returned informer is the cache. */
  protected watch<T extends KubernetesObject>(
    kind: Kind<T>,
    options: {
      readonly namespace?: string | undefined;
      readonly labelSelector?: string;
      readonly indexBy?: (object: T) => string | undefined;
      readonly onChange: (object: T) => void;
    },
  ): Informer<T> {
    const { kube, clock, log } = this;
    const informer = startInformer({ kube, kind, clock, log, ...options }, this.running.signal);
    this.#informers.push(informer);
    return informer;
  }

  /** The frame's own entry, on our informer: resolves when the first list is in. */
  protected override async watchResource(
    group: string,
    version: string,
    plural: string,
    onEvent: (event: ResourceEvent) => Promise<void>,
    namespace?: string,
  ): Promise<void> {
    const apiVersion = group === "" ? version : `${group}/${version}`;
    const informer = this.watch<KubernetesObject>(
      { apiVersion, kind: plural, plural },
      {
        namespace,
        onChange: (object) => {
          const { name = "", namespace, resourceVersion = "" } = object.metadata ?? {};
          const gone = informer.get(namespace ?? "", name) === undefined;
          const meta = {
            id: `${plural}.${apiVersion}`,
            name,
            ...(namespace !== undefined && { namespace }),
            resourceVersion,
            apiVersion,
            kind: object.kind ?? "",
          };
          const { Deleted, Modified } = k8sOperator.ResourceEventType;
          onEvent({ meta, object, type: gone ? Deleted : Modified }).catch((error: unknown) => {
            this.log.error({ error, plural }, "handling an event failed");
          });
        },
      },
    );
    await informer.synced;
  }

  /** Whether every cache holds a first list. */
  isSynced(): boolean {
    return this.#informers.length > 0 && this.#informers.every((informer) => informer.isSynced());
  }

  override stop(): void {
    this.running.abort();
    super.stop();
  }
}

function loggerOf(log: Logger): OperatorLogger {
  return {
    debug: (message) => log.debug(message),
    info: (message) => log.info(message),
    warn: (message) => log.warn(message),
    error: (message) => log.error(message),
  };
}
