import type { Clock } from "../clock.ts";

/**
 * Pauses that hosts ask for. A host limits each login by itself, so a pause holds for the login that was asked, and not
 * for those of other tenants; only when several are to pause at once does the host as a whole get one, a short one.
 */
export interface Throttles {
  /** Pauses a login at a host for so many milliseconds from now; never shortens a pause. */
  readonly throttle: (host: string, login: string, ms: number) => void;
  /** Milliseconds until the login may be used at the host again. */
  readonly pauseOf: (host: string, login: string) => number;
  /** How many pauses are remembered. */
  readonly size: () => number;
}

/** The longest pause of one login, for any Retry-After. */
export const MAX_PAUSE_MS = 10 * 60_000;
/** The longest pause of a host as a whole: one tenant may own all the logins that ask for it. */
const MAX_HOST_PAUSE_MS = 60_000;
/** So many logins at once are a host that is overloaded, rather than logins that poll too often. */
const SEVERAL = 3;
/** Tenants name hosts freely: beyond this many, pauses that are over are forgotten, then those that end first. */
const MAX_PAUSES = 2000;

export function createThrottles(clock: Clock): Throttles {
  /** When each pause ends, by login at a host. */
  const pauses = new Map<string, { readonly host: string; readonly until: number }>();
  /** When the pause of a whole host ends. */
  const hosts = new Map<string, number>();

  function forget(): void {
    for (const [key, { until }] of pauses) if (until <= clock.now()) pauses.delete(key);
    for (const [host, until] of hosts) if (until <= clock.now()) hosts.delete(host);
    const excess = [...pauses].toSorted(([, a], [, b]) => a.until - b.until).slice(0, -MAX_PAUSES);
    for (const [key] of excess) pauses.delete(key);
  }

  function pausedLogins(host: string): number {
    let count = 0;
    for (const pause of pauses.values())
      if (pause.host === host && pause.until > clock.now()) count += 1;
    return count;
  }

  return {
    throttle: (host, login, ms) => {
      if (ms <= 0) return;
      if (pauses.size >= MAX_PAUSES) forget();
      const key = `${host} ${login}`;
      const until = clock.now() + Math.min(ms, MAX_PAUSE_MS);
      pauses.set(key, { host, until: Math.max(until, pauses.get(key)?.until ?? 0) });
      if (pausedLogins(host) < SEVERAL) return;
      const hostUntil = clock.now() + Math.min(ms, MAX_HOST_PAUSE_MS);
      hosts.set(host, Math.max(hostUntil, hosts.get(host) ?? 0));
    },
    pauseOf: (host, login) => {
      const until = pauses.get(`${host} ${login}`)?.until ?? 0;
      return Math.max(0, until - clock.now(), (hosts.get(host) ?? 0) - clock.now());
    },
    size: () => pauses.size,
  };
}
