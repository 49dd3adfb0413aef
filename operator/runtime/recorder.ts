import type { Clock } from "../clock.ts";
import type { Kube } from "../kube/client.ts";
import { kinds, type Kind, type KubernetesObject } from "../kube/types.ts";
import type { Logger } from "../log.ts";

/** Something that people should hear of, as `kubectl describe` shows it. */
export interface EventNote {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export interface Recorder {
  /** Never fails and never waits long: an event that cannot be written is lost, the work goes on. */
  readonly record: (about: KubernetesObject, note: EventNote, signal: AbortSignal) => Promise<void>;
}

interface Remembered {
  readonly name: string;
  readonly firstTimestamp: string;
  readonly count: number;
  readonly until: number;
}

const MAX_REMEMBERED = 1000;
const WINDOW_MS = 10 * 60_000;
const MAX_MESSAGE = 1024;

/** The same note about the same object within ten minutes is counted, not written again. */
export function createRecorder({
  kube,
  component,
  instance,
  clock,
  log,
}: {
  readonly kube: Kube;
  readonly component: string;
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Logger;
}): Recorder {
  const remembered = new Map<string, Remembered>();

  async function write(
    about: KubernetesObject,
    note: EventNote,
    signal: AbortSignal,
  ): Promise<void> {
    const namespace = about.metadata?.namespace ?? "default";
    const key = JSON.stringify([about.metadata?.uid, note]);
    const now = clock.now();
    const timestamp = new Date(now).toISOString().replace(/\.\d+Z$/, "Z");
    const before = remembered.get(key);
    remembered.delete(key);
    if (before !== undefined && before.until > now) {
      const count = before.count + 1;
      remembered.set(key, { ...before, count, until: now + WINDOW_MS });
      await kube.patch(
        kinds.event,
        namespace,
        before.name,
        { count, lastTimestamp: timestamp },
        {},
        signal,
      );
      return;
    }
    const name = `${about.metadata?.name ?? "unknown"}.${now.toString(16)}${Math.trunc(clock.random() * 0xff_ff_ff).toString(16)}`;
    remembered.set(key, { name, firstTimestamp: timestamp, count: 1, until: now + WINDOW_MS });
    for (const oldest of remembered.keys()) {
      if (remembered.size <= MAX_REMEMBERED) break;
      remembered.delete(oldest);
    }
    const event: Record<string, unknown> & { metadata: { namespace: string; name: string } } = {
      metadata: { namespace, name },
      involvedObject: {
        apiVersion: about.apiVersion,
        kind: about.kind,
        namespace,
        name: about.metadata?.name,
        uid: about.metadata?.uid,
        resourceVersion: about.metadata?.resourceVersion,
      },
      type: note.type,
      reason: note.reason,
      message: note.message.slice(0, MAX_MESSAGE),
      count: 1,
      firstTimestamp: timestamp,
      lastTimestamp: timestamp,
      source: { component },
      reportingComponent: component,
      reportingInstance: instance,
    };
    const kind: Kind = kinds.event;
    await kube.create(kind, event, signal);
  }

  return {
    record: async (about, note, signal) => {
      try {
        await write(about, note, signal);
      } catch (error) {
        log.warn(
          { object: about.metadata?.name, reason: note.reason, error },
          "could not write an event",
        );
      }
    },
  };
}
