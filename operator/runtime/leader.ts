import { sleep, type Clock } from "../clock.ts";
import { isOperatorError } from "../errors.ts";
import type { Kube } from "../kube/client.ts";
import { kinds, type V1Lease } from "../kube/types.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";

/** Leader election by a Lease, as client-go does it: renewed by the holder, taken over once it has expired. */
export interface ElectionOptions {
  readonly kube: Kube;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  /** A Lease that has not been renewed for this long may be taken over. */
  readonly leaseSeconds: number;
  /** Stop leading when no renewal has succeeded for this long; less than `leaseSeconds`, so that two never lead. */
  readonly renewDeadlineSeconds: number;
  readonly retrySeconds: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics?: Metrics;
}

export const LEASE = { leaseSeconds: 35, renewDeadlineSeconds: 30, retrySeconds: 5 } as const;

export interface Leadership {
  /** Aborted when leadership ends: lost, released, or the signal given to `lead`. */
  readonly signal: AbortSignal;
  /** Releases the Lease, so that the next leader need not wait for it to expire. Only when no work is in flight. */
  readonly release: () => Promise<void>;
}

type Attempt = "held" | "other" | "failed";

/** Waits until this process leads. Returns undefined when the signal is aborted before. */
export async function lead(
  options: ElectionOptions,
  signal: AbortSignal,
): Promise<Leadership | undefined> {
  const { name, identity, clock, log, metrics } = options;
  const attempt = createCandidate(options);
  const retryMs = options.retrySeconds * 1000;
  const jittered = (): number => retryMs * (0.9 + 0.2 * clock.random());

  metrics?.leader.set({ name }, 0);
  let requestedAt = clock.now();
  while ((await attempt(signal)) !== "held") {
    await sleep(clock, jittered(), signal);
    if (signal.aborted) return undefined;
    requestedAt = clock.now();
  }
  log.info({ lease: name, identity }, "leading");
  metrics?.leader.set({ name }, 1);

  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  stop.addEventListener("abort", () => metrics?.leader.set({ name }, 0), { once: true });

  /** Counted from before the request was sent: other candidates count from after its response. */
  let cancelDeadline = (): void => {};
  function renewed(requestedAt: number): void {
    cancelDeadline();
    const leftMs = requestedAt + options.renewDeadlineSeconds * 1000 - clock.now();
    cancelDeadline = clock.after(leftMs, () => lose("the Lease could not be renewed in time"));
  }
  function lose(reason: string): void {
    if (stop.aborted) return;
    log.error({ lease: name, identity, reason }, "lost leadership");
    over.abort();
  }

  async function renew(): Promise<void> {
    while (!stop.aborted) {
      await sleep(clock, retryMs, stop);
      if (stop.aborted) break;
      const requestedAt = clock.now();
      const result = await attempt(stop);
      if (result === "held") renewed(requestedAt);
      else if (result === "other") lose("another process holds the Lease");
    }
    cancelDeadline();
  }
  renewed(requestedAt);
  const renewing = renew();

  return {
    signal: stop,
    release: async () => {
      over.abort();
      await renewing;
      await releaseLease(options);
    },
  };
}

/** One attempt to acquire or renew the Lease. */
function createCandidate(options: ElectionOptions): (signal: AbortSignal) => Promise<Attempt> {
  const { kube, namespace, name, identity, clock, log } = options;
  /**
   * Expiry is judged by how long this process has observed the same version, not by the holder's clock; and by a timer,
   * so that setting this machine's clock changes nothing.
   */
  let observed:
    | { readonly version: string; expired: boolean; readonly cancel: () => void }
    | undefined;

  function isExpired(lease: V1Lease): boolean {
    const version = lease.metadata?.resourceVersion ?? "";
    if (observed?.version !== version) {
      observed?.cancel();
      const ms = (lease.spec?.leaseDurationSeconds ?? options.leaseSeconds) * 1000;
      const cancel = clock.after(ms, () => {
        if (observed?.version === version) observed.expired = true;
      });
      observed = { version, expired: false, cancel };
    }
    return observed.expired;
  }

  async function attempt(signal: AbortSignal): Promise<Attempt> {
    const present = await kube.get(kinds.lease, namespace, name, signal);
    if (present === undefined) {
      await kube.create(kinds.lease, leaseOf(options, undefined), signal);
      return "held";
    }
    const holder = present.spec?.holderIdentity ?? "";
    if (holder !== "" && holder !== identity && !isExpired(present)) return "other";
    // The resourceVersion makes this a compare-and-swap.
    await kube.replace(kinds.lease, leaseOf(options, present), {}, signal);
    return "held";
  }

  return async (signal) => {
    try {
      const timeout = AbortSignal.timeout(options.retrySeconds * 1000);
      return await attempt(AbortSignal.any([signal, timeout]));
    } catch (error) {
      if (!signal.aborted && !isOperatorError(error, "KUBE_CONFLICT")) {
        log.warn({ lease: name, error }, "could not read or write the Lease");
      }
      return "failed";
    }
  };
}

/** MicroTime of the Kubernetes API. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}

function leaseOf(options: ElectionOptions, present: V1Lease | undefined): V1Lease {
  const { namespace, name, identity, clock } = options;
  const isHolder = present?.spec?.holderIdentity === identity;
  const now = microTime(clock.now());
  // The API takes times as strings; the client's types want Date objects of its own serialiser.
  const spec: Record<string, unknown> = {
    holderIdentity: identity,
    leaseDurationSeconds: options.leaseSeconds,
    acquireTime: isHolder ? present.spec?.acquireTime : now,
    renewTime: now,
    leaseTransitions:
      (present?.spec?.leaseTransitions ?? 0) + (isHolder || present === undefined ? 0 : 1),
  };
  return { ...present, metadata: { ...present?.metadata, namespace, name }, spec };
}

async function releaseLease(options: ElectionOptions): Promise<void> {
  const { kube, namespace, name, identity, log } = options;
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
    log.warn({ lease: name, error }, "could not release the Lease: it will expire");
  }
}
