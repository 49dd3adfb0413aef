import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { setImmediate } from "node:timers/promises";

import type { Drain } from "../drain.ts";

/**
 * The drain of HTTP/1.1: while it lasts, each answer ends its connection; never in front of a pipelined request that
 * has come already, or is likely to.
 */
export interface Connections {
  /** Counts a request from its arrival to the end of its answer; one that does not count is no reason to stay. */
  readonly arrived: (request: IncomingMessage, response: ServerResponse, counts: boolean) => void;
  /** Whether the connection is to end with this answer; called before its head is written. */
  readonly closes: (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;
}

interface Connection {
  readonly since: number;
  /** The most requests that were in flight at once: how deep its client pipelines. */
  depth: number;
  /** How many requests have come since none was in flight. */
  burst: number;
  /** The responses in flight, in the order in which their requests came and they will leave. */
  readonly open: Set<ServerResponse>;
  /** Called whenever one of them has left. */
  readonly waiting: (() => void)[];
}

/** The client of a connection this young may pipeline: the rest of its first burst may still be under way. */
export const YOUNG_MS = 2000;

export function createConnections(
  drain: Drain,
  now: () => number,
  youngMs = YOUNG_MS,
): Connections {
  const connections = new WeakMap<Socket, Connection>();

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
    arrived: ({ socket }, response, counts) => {
      const connection = connectionOf(socket);
      const { open, waiting } = connection;
      connection.burst = open.size === 0 ? 1 : connection.burst + 1;
      open.add(response);
      connection.depth = Math.max(connection.depth, open.size);
      const leave = counts ? drain.enter() : undefined;
      response.on("close", () => {
        open.delete(response);
        leave?.();
        for (const go of waiting.splice(0)) go();
      });
    },
    closes: async ({ socket }, response) => {
      const connection = connectionOf(socket);
      const { open, waiting, since } = connection;
      if (now() - since < youngMs) return false;
      // Only the response whose turn it is can know whether it is the last: others may still join those that wait.
      while (open.has(response) && open.values().next().value !== response)
        await new Promise<void>((resolve) => waiting.push(resolve));
      // What came in the same packet is read by then.
      await setImmediate();
      // A client that pipelines gets the notice at the end of a whole burst: a part of it may have come late.
      return open.size <= 1 && connection.burst >= connection.depth;
    },
  };
}
