import { LRUCache } from "lru-cache";

import { withDeadline, type Clock } from "../clock.ts";
import { isOperatorError, messageOf, OperatorError } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import type { Metrics } from "../metrics.ts";
import { splitKey } from "../runtime/key.ts";
import type { Outcome, StartQueue } from "../runtime/queue.ts";
import type { Delivery, DeliveryView, FailingTarget } from "./delivery.ts";
import { requestFor } from "./request.ts";
import { readTarget } from "./target-secret.ts";
import type { SendWebhook } from "./webhook.ts";

/**
 * Delivers events to webhooks, beside the reconciles: a webhook that hangs delays no release. It keeps nothing that a
 * restart may not lose: what has still to be sent is in the journals of the releases.
 */
export interface Notifier {
  /**
   * Replaces what is to be delivered for an app, one event a webhook: the next one follows when the journal no longer has
   * this one. An event that is on its way already is not sent again.
   *
   * @param app `namespace/name`
   */
  readonly deliver: (app: string, deliveries: readonly Delivery[]) => void;
  readonly view: (app: string) => DeliveryView;
}

export interface NotifierParts {
  readonly kube: Pick<Kube, "get">;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "notifications">;
  readonly send: SendWebhook;
  /** Starts the queue of webhooks: it gives each to one worker at a time, and brings back with back-off what fails. */
  readonly start: StartQueue;
  /** An event of the app was delivered, or a webhook fails that did not, or for another reason. */
  readonly onChange: (app: string) => void;
}

/** Of reading the Secret and of the request together. */
const ATTEMPT_MS = 10_000;
/** So many attempts in a row fail before it is reported: a webhook that restarts is no news. */
const REPORTED_AFTER = 3;
/** Events that were delivered, remembered in case that a cache shows a journal as it was before. */
const MAX_DELIVERED = 10_000;

/** One webhook of one app. */
interface Lane {
  readonly app: string;
  delivery: Delivery;
  failures: number;
  failing: FailingTarget | undefined;
}

export function createNotifier(parts: NotifierParts): Notifier {
  const { kube, clock, metrics, send, onChange } = parts;
  /** By app, then by the name of the notification. */
  const apps = new Map<string, Map<string, Lane>>();
  /** Allots room for all of them at once: only where anything is delivered. */
  let delivered: LRUCache<string, true> | undefined;
  const queue = parts.start(work);

  async function work(key: string, signal: AbortSignal): Promise<Outcome> {
    const lane = findLane(key);
    if (lane === undefined) return { kind: "done" };
    const { app, delivery } = lane;
    const { target, event } = delivery;
    const id = deliveryId(app, target.name, event.id);
    if (delivered?.has(id) === true) return { kind: "done" };
    try {
      await withDeadline(clock, ATTEMPT_MS, signal, async (bounded) => {
        const { namespace } = splitKey(app);
        const { url, token } = await readTarget(kube, namespace, target.secret, bounded);
        await send(requestFor(target.type, event, url, token), bounded);
      });
    } catch (error) {
      if (signal.aborted) throw error;
      const failed = asFailure(error);
      metrics.notifications.inc({ type: target.type, result: "failed" });
      noteFailure(lane, failed);
      throw failed;
    }
    delivered ??= new LRUCache({ max: MAX_DELIVERED });
    delivered.set(id, true);
    lane.failures = 0;
    lane.failing = undefined;
    metrics.notifications.inc({ type: target.type, result: "delivered" });
    onChange(app);
    return { kind: "done" };
  }

  function findLane(key: string): Lane | undefined {
    const slash = key.lastIndexOf("/");
    return apps.get(key.slice(0, slash))?.get(key.slice(slash + 1));
  }

  function noteFailure(lane: Lane, { code, message }: OperatorError): void {
    lane.failures += 1;
    // What only a user can change is reported at once.
    if (code === "NOTIFICATION_FAILED" && lane.failures < REPORTED_AFTER) return;
    const before = lane.failing;
    lane.failing = { name: lane.delivery.target.name, code, message };
    if (before?.code !== code || before.message !== message) onChange(lane.app);
  }

  function deliver(app: string, deliveries: readonly Delivery[]): void {
    const before = apps.get(app);
    const lanes = new Map<string, Lane>();
    for (const delivery of deliveries) {
      const { name } = delivery.target;
      const lane = before?.get(name);
      const isKnown = lane !== undefined && isSame(lane.delivery, delivery);
      if (lane !== undefined) lane.delivery = delivery;
      lanes.set(name, lane ?? { app, delivery, failures: 0, failing: undefined });
      if (!isKnown) queue.add(`${app}/${name}`, "default");
    }
    if (lanes.size > 0) apps.set(app, lanes);
    else apps.delete(app);
  }

  return {
    deliver,
    view: (app) => ({
      isDelivered: (name, eventId) => delivered?.has(deliveryId(app, name, eventId)) === true,
      failing: [...(apps.get(app)?.values() ?? [])].flatMap(({ failing }) => failing ?? []),
    }),
  };
}

function deliveryId(app: string, name: string, eventId: string): string {
  return `${app}/${name} ${eventId}`;
}

/** Whether it is the same event to the same webhook. */
function isSame(one: Delivery, other: Delivery): boolean {
  return (
    one.event.id === other.event.id &&
    one.target.type === other.target.type &&
    one.target.secret === other.target.secret
  );
}

function asFailure(error: unknown): OperatorError {
  if (isOperatorError(error)) return error;
  const isLate = error instanceof Error && error.name === "TimeoutError";
  const message = isLate
    ? `the webhook did not respond within ${ATTEMPT_MS / 1000} s`
    : `the notification could not be sent: ${messageOf(error)}`;
  return new OperatorError("NOTIFICATION_FAILED", message, { cause: error });
}
