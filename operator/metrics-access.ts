import { createHash } from "node:crypto";

import { LRUCache } from "lru-cache";

import { withDeadline, type Clock } from "./clock.ts";
import type { Access, ReviewAccess } from "./kube/access-review.ts";
import type { Logger } from "./log.ts";

/** The status code for a request with this Authorization header: 200, 401, 403, or 503 if it cannot be decided now. */
export type Authorize = (authorization: string | undefined) => Promise<200 | 401 | 403 | 503>;

const STATUS = { allowed: 200, unauthenticated: 401, forbidden: 403 } as const;

const TOKENS = 256;
/** A right that was revoked counts for so long; a new one is seen sooner. */
const ALLOWED_MS = 60_000;
const DENIED_MS = 10_000;
/** At most so many at once, so that made-up tokens do not become a load on the API server. */
const REVIEWS = 4;
const REVIEW_TIMEOUT_MS = 5000;

/** Who may read metrics, as `review` decides; its answers are kept for a short time, by the hash of the token. */
export function createMetricsAccess({
  review,
  path,
  clock,
  log,
}: {
  readonly review: ReviewAccess;
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
}): Authorize {
  const known = new LRUCache<string, Access>({
    max: TOKENS,
    ttlResolution: 0,
    perf: { now: clock.now },
  });
  const inFlight = new Map<string, Promise<200 | 401 | 403 | 503>>();

  async function decide(key: string, token: string): Promise<200 | 401 | 403 | 503> {
    try {
      const access = await withDeadline(
        clock,
        REVIEW_TIMEOUT_MS,
        new AbortController().signal,
        (signal) => review(token, path, signal),
      );
      known.set(key, access, { ttl: access === "allowed" ? ALLOWED_MS : DENIED_MS });
      return STATUS[access];
    } catch (error) {
      log.warn({ error }, "a request for metrics could not be reviewed");
      return 503;
    } finally {
      inFlight.delete(key);
    }
  }

  return async (authorization) => {
    const token = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization ?? "")?.[1];
    if (token === undefined) return 401;
    const key = createHash("sha256").update(token).digest("base64");
    const access = known.get(key);
    if (access !== undefined) return STATUS[access];
    const pending = inFlight.get(key);
    if (pending !== undefined) return pending;
    if (inFlight.size >= REVIEWS) return 503;
    const decision = decide(key, token);
    inFlight.set(key, decision);
    return decision;
  };
}
