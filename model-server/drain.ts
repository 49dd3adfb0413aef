/**
 * Stopping without losing a request (docs/decisions/0006). After SIGTERM the server goes on serving and reports that it
 * is ready: it may be the last endpoint. Each protocol's adapter asks its clients to connect again, which leads them to
 * another endpoint. The drain ends when no request has come for a while.
 */
export interface Drain {
  /** Counts a request from here until `leave` is called. */
  readonly enter: () => Leave;
  readonly isDraining: () => boolean;
  /** Resolves when no request has been in flight for `quietMs`, or after `maxMs`. */
  readonly begin: (quietMs: number, maxMs: number) => Promise<void>;
  readonly inFlight: () => number;
}

export type Leave = () => void;

const CHECK_MS = 50;

export function createDrain(now: () => number): Drain {
  const inFlight = new Set<Leave>();
  let latest = now();
  let draining = false;

  return {
    inFlight: () => inFlight.size,
    isDraining: () => draining,
    enter: () => {
      const leave = (): void => {
        if (inFlight.delete(leave)) latest = now();
      };
      inFlight.add(leave);
      latest = now();
      return leave;
    },
    begin: (quietMs, maxMs) => {
      draining = true;
      const began = now();
      latest = Math.max(latest, began);
      return new Promise((resolve) => {
        let wasQuiet = false;
        const timer = setInterval(() => {
          const isQuiet = inFlight.size === 0 && now() - latest >= quietMs;
          // Twice in a row: on a machine that stood still, requests that came meanwhile are read between two checks.
          const quiet = isQuiet && wasQuiet;
          wasQuiet = isQuiet;
          if (!quiet && now() - began < maxMs) return;
          clearInterval(timer);
          resolve();
        }, CHECK_MS);
      });
    },
  };
}
