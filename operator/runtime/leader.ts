import { sleep, type Clock } from "../clock.ts";
import { isOperatorError } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import { kinds, type V1Lease } from "../kube/types.ts";
import type { Logger } from "../log.ts";

/** Leader election by a Lease, as client-go does it: renewed by the holder, taken over once it has expired. */
export interface ElectionOptions {
  readonly kube: Kube;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  readonly leaseSeconds: number;
  /** Give up leading when no renewal has worked for this long. */
  readonly renewDeadlineSeconds: number;
  readonly retrySeconds: number;
  readonly clock: Clock;
  readonly log: Logger;
}

export const LEASE = { leaseSeconds: 35, renewDeadlineSeconds: 30, retrySeconds: 5 } as const;

/** MicroTime, as the API wants it. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}

export interface Leadership {
  /** Aborted when leading is over: lost, or given up. */
  readonly signal: AbortSignal;
  /** Gives the Lease back, so that the next one need not wait for it to expire. */
  readonly release: () => Promise<void>;
}

/** Waits until this process leads. Returns undefined when the signal is aborted before. */
export async function lead(
  options: ElectionOptions,
  signal: AbortSignal,
): Promise<Leadership | undefined> {
  const { kube, namespace, name, identity, clock, log } = options;
  /** What was seen last and when: expiry is judged by our own clock, not by the holder's. */
  let seen: { readonly version: string; readonly at: number } | undefined;

  async function attempt(): Promise<boolean> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(options.retrySeconds * 1000)]);
    const present = await kube.get(kinds.lease, namespace, name, bounded);
    const now = clock.now();
    if (present === undefined) {
      await kube.create(kinds.lease, leaseOf(undefined, now), bounded);
      return true;
    }
    const holder = present.spec?.holderIdentity ?? "";
    const version = present.metadata?.resourceVersion ?? "";
    if (seen?.version !== version) seen = { version, at: now };
    const duration = (present.spec?.leaseDurationSeconds ?? options.leaseSeconds) * 1000;
    if (holder !== "" && holder !== identity && seen.at + duration > now) return false;
    // The resourceVersion makes this a compare-and-swap.
    await kube.replace(kinds.lease, leaseOf(present, now), {}, bounded);
    return true;
  }

  function leaseOf(present: V1Lease | undefined, now: number): V1Lease {
    const mine = present?.spec?.holderIdentity === identity;
    // The API takes times as strings; the client's types want Date objects of its own serialiser.
    const spec: Record<string, unknown> = {
      holderIdentity: identity,
      leaseDurationSeconds: options.leaseSeconds,
      acquireTime: mine ? present.spec?.acquireTime : microTime(now),
      renewTime: microTime(now),
      leaseTransitions:
        (present?.spec?.leaseTransitions ?? 0) + (mine || present === undefined ? 0 : 1),
    };
    return { ...present, metadata: { ...present?.metadata, namespace, name }, spec };
  }

  async function tryOnce(): Promise<boolean> {
    try {
      return await attempt();
    } catch (error) {
      if (!signal.aborted && !isOperatorError(error, "KUBE_CONFLICT")) {
        log.warn({ lease: name, error }, "could not reach the lease");
      }
      return false;
    }
  }

  while (!(await tryOnce())) {
    if (signal.aborted) return undefined;
    await sleep(clock, options.retrySeconds * 1000 * (0.9 + 0.2 * clock.random()), signal);
    if (signal.aborted) return undefined;
  }
  log.info({ lease: name, identity }, "leading");

  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  const renewing = (async () => {
    let renewedAt = clock.now();
    while (!stop.aborted) {
      await sleep(clock, options.retrySeconds * 1000, stop);
      if (stop.aborted) return;
      if (await tryOnce()) renewedAt = clock.now();
      else if (clock.now() - renewedAt > options.renewDeadlineSeconds * 1000) {
        log.error({ lease: name, identity }, "lost the lease");
        over.abort();
      }
    }
  })();

  return {
    signal: stop,
    release: async () => {
      over.abort();
      await renewing;
      const bounded = AbortSignal.timeout(options.retrySeconds * 1000);
      try {
        const present = await kube.get(kinds.lease, namespace, name, bounded);
        if (present?.spec?.holderIdentity !== identity) return;
        const released: V1Lease = {
          ...present,
          spec: { ...present.spec, holderIdentity: "", leaseDurationSeconds: 1 },
        };
        await kube.replace(kinds.lease, released, {}, bounded);
      } catch (error) {
        log.warn({ lease: name, error }, "could not release the lease, it will expire");
      }
    },
  };
}
