import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { setImmediate } from "node:timers/promises";

/**
 * Leaving without losing a request (docs/decisions/0006). After SIGTERM the server goes on serving, and says it is
 * ready: it may be the last endpoint that there is. Each answer asks its client to connect anew, which leads elsewhere;
 * never in front of a pipelined request that has come already, or is likely to. It ends when nobody has asked for a while.
 */
export interface Drain {
  /** Counts a request from its arrival to the end of its answer; one of `passing` is no reason to stay. */
  readonly arrived: (request: IncomingMessage, response: ServerResponse, passing: boolean) => void;
  /** To be asked before the head of an answer is written: whether the connection is to end with it. */
  readonly closes: (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;
  /** Resolves when nobody has asked for `quietMs`, or after `maxMs`. */
  readonly begin: (quietMs: number, maxMs: number) => Promise<void>;
  readonly underWay: () => number;
}

interface Connection {
  readonly since: number;
  /** The most that was ever to be answered at once: how deep its client pipelines. */
  depth: number;
  /** How many have come since nothing was to be answered. */
  burst: number;
  /** What is still to be answered, in the order in which it came and will leave. */
  readonly open: Set<ServerResponse>;
  /** Called whenever one of them has left. */
  readonly waiting: (() => void)[];
}

/** A connection this young may be of a client that pipelines: the rest of its first burst may be on its way. */
const YOUNG_MS = 2000;

export function createDrain(now: () => number, youngMs = YOUNG_MS): Drain {
  const connections = new WeakMap<Socket, Connection>();
  const underWay = new Set<ServerResponse>();
  let latest = now();
  let draining = false;

  function left({ open, waiting }: Connection, response: ServerResponse): void {
    open.delete(response);
    if (underWay.delete(response)) latest = now();
    for (const go of waiting.splice(0)) go();
  }

  function connectionOf(socket: Socket): Connection {
    const known = connections.get(socket);
    if (known !== undefined) return known;
    const connection: Connection = {
      since: now(),
      depth: 0,
      burst: 0,
      open: new Set(),
      waiting: [],
    };
    connections.set(socket, connection);
    return connection;
  }

  return {
    underWay: () => underWay.size,
    arrived: ({ socket }, response, passing) => {
      const connection = connectionOf(socket);
      connection.burst = connection.open.size === 0 ? 1 : connection.burst + 1;
      connection.open.add(response);
      connection.depth = Math.max(connection.depth, connection.open.size);
      response.once("close", () => left(connection, response));
      if (passing) return;
      underWay.add(response);
      latest = now();
    },
    closes: async ({ socket }, response) => {
      if (!draining) return false;
      const connection = connectionOf(socket);
      const { open, waiting, since } = connection;
      if (now() - since < youngMs) return false;
      // Only the one whose turn it is can tell whether it is the last: what waits may still be joined by others.
      while (open.has(response) && open.values().next().value !== response)
        await new Promise<void>((resolve) => waiting.push(resolve));
      // What came in the same packet is read by then.
      await setImmediate();
      // Who pipelines is told at the end of a whole burst: a part of it may have come late.
      return open.size <= 1 && connection.burst >= connection.depth;
    },
    begin: (quietMs, maxMs) => {
      draining = true;
      const began = now();
      latest = Math.max(latest, began);
      return new Promise((resolve) => {
        let wasQuiet = false;
        const timer = setInterval(() => {
          const isQuiet = underWay.size === 0 && now() - latest >= quietMs;
          // Twice in a row: on a machine that stood still, what has come meanwhile is read between two looks.
          const quiet = isQuiet && wasQuiet;
          wasQuiet = isQuiet;
          if (!quiet && now() - began < maxMs) return;
          clearInterval(timer);
          resolve();
        }, 50);
      });
    },
  };
}
