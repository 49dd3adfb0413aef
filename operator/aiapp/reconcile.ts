import { AIApp, type AIAppStatus } from "../../crds/aiapp.ts";
import { API_VERSION, KIND, MANAGER, PLURAL } from "../../crds/names.ts";
import type { Clock } from "../clock.ts";
import { isOperatorError, messageOf } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import type { Kind, KubernetesObject } from "../kube/types.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { splitKey } from "../runtime/key.ts";
import type { Outcome } from "../runtime/queue.ts";
import type { Recorder } from "../runtime/recorder.ts";
import type { Poller } from "../sources/poller.ts";
import type { PullerSettings } from "./resources/template.ts";
import type { Cache } from "./cache.ts";
import { canonical } from "./canonical.ts";
import { invalidStatus, refusedStatus } from "./conditions.ts";
import { eventsOf } from "./events.ts";
import { execute } from "./execute.ts";
import { observe } from "./observe.ts";
import { plan } from "./plan.ts";
import type { createSourceResolver } from "./resolve-sources.ts";

/** The resource that this operator is about. */
export const aiappKind: Kind = { apiVersion: API_VERSION, kind: KIND, plural: PLURAL };

export interface ControllerParts {
  readonly kube: Kube;
  readonly cache: Cache;
  readonly poller: Poller;
  readonly resolver: ReturnType<typeof createSourceResolver>;
  readonly recorder: Recorder;
  readonly puller: PullerSettings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The thin shell: observe → plan → execute → status. */
export function createReconciler(
  parts: ControllerParts,
): (key: string, signal: AbortSignal) => Promise<Outcome> {
  const { kube, cache, poller, recorder, clock, log, metrics } = parts;
  /** What our last status write gave back, until the cache has caught up with it. */
  const written = new Map<
    string,
    { readonly basedOn: string; readonly object: KubernetesObject }
  >();

  function latest(key: string): KubernetesObject | undefined {
    const { namespace, name } = splitKey(key);
    const cached = cache.apps.get(namespace, name);
    const own = written.get(key);
    if (own === undefined) return cached;
    if (cached?.metadata?.resourceVersion === own.basedOn) return own.object;
    written.delete(key);
    return cached;
  }

  async function writeStatus(
    key: string,
    object: KubernetesObject,
    status: AIAppStatus,
    signal: AbortSignal,
  ): Promise<void> {
    const { namespace = "", name = "", uid = "", resourceVersion = "" } = object.metadata ?? {};
    const desired = { metadata: { namespace, name, uid }, status } as KubernetesObject;
    const result = await kube.apply(
      aiappKind,
      desired,
      { fieldManager: MANAGER, force: true, subresource: "status" },
      signal,
    );
    const basedOn = written.get(key)?.basedOn ?? resourceVersion;
    written.set(key, { basedOn, object: result });
  }

  return async (key, signal) => {
    const object = latest(key);
    if (object === undefined || object.metadata?.deletionTimestamp !== undefined) {
      // What it owns goes with it: owner references.
      poller.want(key, []);
      written.delete(key);
      return { kind: "done" };
    }
    const parsed = AIApp.safeParse(object);
    if (!parsed.success) {
      await writeStatus(key, object, invalidStatus(object, parsed.error, clock.now()), signal);
      return { kind: "done" };
    }
    const app = parsed.data;
    const observed = await observe(app, parts, signal);
    const { actions, status, events, requeueAfterMs } = plan(observed, parts.puller, clock.now());
    let refused: unknown;
    try {
      await execute(actions, { kube, poller }, signal);
    } catch (error) {
      if (!isOperatorError(error, "KUBE_INVALID", "KUBE_FORBIDDEN")) throw error;
      refused = error;
    }
    const final =
      refused === undefined
        ? status
        : refusedStatus(status, app.status, messageOf(refused), clock.now());
    if (canonical(app.status) !== canonical(final)) {
      await writeStatus(key, object, final, signal);
      const told = refused === undefined ? events : eventsOf(app.status, final);
      for (const event of told) {
        log.info({ app: key, reason: event.reason, message: event.message }, "changed");
        if (event.reason === "Released") metrics.releases.inc({ outcome: "released" });
        await recorder.record(object, event, signal);
      }
    }
    if (refused !== undefined && !isOperatorError(refused, "KUBE_INVALID")) throw refused;
    return { kind: "requeue", afterMs: requeueAfterMs };
  };
}
