import { formatTime } from "../../crds/grammar/rfc3339.ts";
import type { Clock } from "../clock.ts";
import { isOperatorError } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import { kinds, type Kind, type KubernetesObject } from "../kube/types.ts";
import type { Logger } from "../log.ts";

/** What an Event says, as `kubectl describe` shows it. */
export interface EventNote {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export interface Recorder {
  /** Never rejects and waits at most a few seconds: an event that cannot be written is dropped. */
  readonly record: (about: KubernetesObject, note: EventNote, signal: AbortSignal) => Promise<void>;
}

export interface RecorderOptions {
  readonly kube: Kube;
  readonly component: string;
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How many objects and notes are remembered; the oldest are evicted first. */
const MAX_REMEMBERED = 1000;
const WINDOW_MS = 10 * 60_000;
const MAX_MESSAGE = 1024;
const TIMEOUT_MS = 5000;
/** Events about one object: a burst, then one per refill. All Events of a cluster share one store. */
const BURST = 25;
const REFILL_MS = 60_000;
/** Leaves room for what an Event's name ends with: a dot, the time and a random number. */
const MAX_NAME = 253 - 32;

/** The same note about the same object within ten minutes is counted, not written again. */
export function createRecorder(options: RecorderOptions): Recorder {
  const { kube, clock, log } = options;
  const written = new Map<string, { readonly name: string; count: number; until: number }>();
  const budgets = new Map<string, { tokens: number; at: number }>();

  function isAllowed(uid: string): boolean {
    const now = clock.now();
    const { tokens, at } = budgets.get(uid) ?? { tokens: BURST, at: now };
    const filled = Math.min(BURST, tokens + (now - at) / REFILL_MS);
    budgets.delete(uid);
    budgets.set(uid, { tokens: filled < 1 ? filled : filled - 1, at: now });
    bound(budgets);
    return filled >= 1;
  }

  async function write(
    about: KubernetesObject,
    note: EventNote,
    signal: AbortSignal,
  ): Promise<void> {
    const namespace = about.metadata?.namespace ?? "default";
    const key = JSON.stringify([about.metadata?.uid, note]);
    const before = written.get(key);
    if (before !== undefined && before.until > clock.now()) {
      const count = before.count + 1;
      const patch = { count, lastTimestamp: formatTime(clock.now()) };
      try {
        await kube.patch(kinds.event, namespace, before.name, patch, {}, signal);
        before.count = count;
        before.until = clock.now() + WINDOW_MS;
        return;
      } catch (error) {
        // The Event has been deleted: create another.
        if (!isOperatorError(error, "KUBE_NOT_FOUND")) throw error;
      }
    }
    const event = eventOf(options, about, note, namespace);
    const kind: Kind = kinds.event;
    await kube.create(kind, event, signal);
    written.delete(key);
    written.set(key, { name: event.metadata.name, count: 1, until: clock.now() + WINDOW_MS });
    bound(written);
  }

  return {
    record: async (about, note, signal) => {
      const object = `${about.metadata?.namespace ?? ""}/${about.metadata?.name ?? ""}`;
      if (!isAllowed(about.metadata?.uid ?? "")) {
        log.debug({ object, reason: note.reason }, "too many events: dropped one");
        return;
      }
      const short = { ...note, message: note.message.slice(0, MAX_MESSAGE) };
      try {
        await write(about, short, AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]));
      } catch (error) {
        log.warn({ object, reason: note.reason, error }, "could not write an event");
      }
    },
  };
}

function bound(map: Map<string, unknown>): void {
  for (const oldest of map.keys()) {
    if (map.size <= MAX_REMEMBERED) break;
    map.delete(oldest);
  }
}

/** A v1 Event as JSON: the client's type has Date objects for its own serialiser. */
function eventOf(
  { component, instance, clock }: RecorderOptions,
  about: KubernetesObject,
  note: EventNote,
  namespace: string,
): Record<string, unknown> & { readonly metadata: { readonly namespace: string; name: string } } {
  const now = clock.now();
  const stem = (about.metadata?.name ?? "unknown").slice(0, MAX_NAME);
  const suffix = `${now.toString(16)}${Math.trunc(clock.random() * 0xff_ff_ff).toString(16)}`;
  return {
    metadata: { namespace, name: `${stem}.${suffix}` },
    involvedObject: {
      apiVersion: about.apiVersion,
      kind: about.kind,
      namespace: about.metadata?.namespace,
      name: about.metadata?.name,
      uid: about.metadata?.uid,
      resourceVersion: about.metadata?.resourceVersion,
    },
    type: note.type,
    reason: note.reason,
    message: note.message,
    count: 1,
    firstTimestamp: formatTime(now),
    lastTimestamp: formatTime(now),
    source: { component },
    reportingComponent: component,
    reportingInstance: instance,
  };
}
