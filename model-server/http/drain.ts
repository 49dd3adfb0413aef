import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * Leaving without losing a request (docs/decisions/0006). After SIGTERM the server goes on serving, and says it is
 * ready: it may be the last endpoint that there is. Each answer asks its client to connect anew, which leads elsewhere;
 * never in front of a pipelined request that has come already. It ends when nobody has asked for a while.
 */
export interface Drain {
  /** Counts a request from its arrival to the end of its answer. Health checks are no reason to stay. */
  readonly arrived: (request: IncomingMessage, response: ServerResponse) => void;
  /** To be asked when the head of an answer is written: whether the connection is to end with it. */
  readonly closes: (request: IncomingMessage) => boolean;
  /** Resolves when nobody has asked for `quietMs`, or after `maxMs`. */
  readonly begin: (quietMs: number, maxMs: number) => Promise<void>;
  readonly underWay: () => number;
}

export function createDrain(now: () => number): Drain {
  const onSocket = new WeakMap<Socket, number>();
  let underWay = 0;
  let latest = now();
  let draining = false;

  return {
    underWay: () => underWay,
    arrived: (request, response) => {
      const { socket } = request;
      onSocket.set(socket, (onSocket.get(socket) ?? 0) + 1);
      underWay += 1;
      latest = now();
      response.once("close", () => {
        onSocket.set(socket, (onSocket.get(socket) ?? 1) - 1);
        underWay -= 1;
        latest = now();
      });
    },
    closes: ({ socket }) => draining && (onSocket.get(socket) ?? 0) <= 1,
    begin: (quietMs, maxMs) => {
      draining = true;
      const began = now();
      latest = Math.max(latest, began);
      return new Promise((resolve) => {
        const timer = setInterval(() => {
          const quiet = underWay === 0 && now() - latest >= quietMs;
          if (!quiet && now() - began < maxMs) return;
          clearInterval(timer);
          resolve();
        }, 50);
      });
    },
  };
}
