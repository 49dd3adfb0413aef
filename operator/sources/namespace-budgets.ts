import { LRUCache } from "lru-cache";

import { charges, type Account, type Charge } from "../account.ts";
import type { Clock } from "../clock.ts";

/** What the polls of one namespace may take in a minute, each; 0 is no limit. */
export interface NamespaceLimits {
  readonly pollsPerMinute: number;
  /** Of the bodies of responses. */
  readonly bytesPerMinute: number;
  /** Of the work on long lists of tags and versions. */
  readonly cpuMsPerMinute: number;
}

export const noLimits: NamespaceLimits = {
  pollsPerMinute: 0,
  bytesPerMinute: 0,
  cpuMsPerMinute: 0,
};

/**
 * Counts what the polls of each namespace take. What was used comes back evenly over a minute. A poll that has begun is
 * not stopped: it is bounded by itself, and what it took beyond the limit is waited for before the next one begins.
 */
export interface NamespaceBudgets {
  readonly accountOf: (namespace: string) => Account;
  /** What a namespace has used up, in words; undefined while a poll of it may begin. */
  readonly excessOf: (namespace: string) => string | undefined;
}

const MINUTE_MS = 60_000;
/** Those that used something last; the use of others is forgotten. */
const MAX_NAMESPACES = 10_000;

interface Use {
  readonly amount: number;
  readonly at: number;
}

export function createNamespaceBudgets(
  limits: NamespaceLimits,
  { now }: Pick<Clock, "now">,
): NamespaceBudgets {
  /** Allots room for all of them at once: only where there are limits. */
  let used: LRUCache<string, Map<Charge, Use>> | undefined;
  const limitOf: Readonly<Record<Charge, number>> = {
    polls: limits.pollsPerMinute,
    bytes: limits.bytesPerMinute,
    cpuMs: limits.cpuMsPerMinute,
  };

  /** What of it has not come back yet. */
  function usedOf(namespace: string, kind: Charge): number {
    const use = used?.get(namespace)?.get(kind);
    if (use === undefined) return 0;
    return Math.max(0, use.amount - (limitOf[kind] * (now() - use.at)) / MINUTE_MS);
  }

  return {
    accountOf: (namespace) => ({
      namespace,
      charge: (kind, amount) => {
        if (limitOf[kind] === 0) return;
        const total = usedOf(namespace, kind) + amount;
        used ??= new LRUCache({ max: MAX_NAMESPACES });
        const uses = used.get(namespace) ?? new Map<Charge, Use>();
        used.set(namespace, uses.set(kind, { amount: total, at: now() }));
      },
    }),
    excessOf: (namespace) => {
      const kind = charges.find(
        (one) => limitOf[one] > 0 && usedOf(namespace, one) >= limitOf[one],
      );
      return kind && describe(kind, namespace, limitOf[kind]);
    },
  };
}

/** The chart's name of each limit, its amount, and how to need less. */
function describe(kind: Charge, namespace: string, limit: number): string {
  const [amount, name, remedy] = {
    polls: [`${limit} polls`, "pollsPerMinute", "raise spec.interval of its AIApps"],
    bytes: [
      `${limit} bytes of responses`,
      "bytesPerMinute",
      "raise spec.interval of its AIApps, or delete tags and versions",
    ],
    cpuMs: [
      `${limit} ms of CPU for tags and versions`,
      "cpuMsPerMinute",
      "simplify spec.imagePolicy.pattern, or raise spec.interval of its AIApps",
    ],
  }[kind];
  return `the AIApps of namespace ${namespace} have used up the ${amount} that they may use in a minute, and are polled less often: ${remedy}, or ask an administrator to raise namespaceLimits.${name}`;
}
