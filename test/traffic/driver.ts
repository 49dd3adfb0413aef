import { setTimeout as sleep } from "node:timers/promises";

import type { Check } from "./check.ts";
import type { Connection } from "./connection.ts";
import { ExchangeError, openConnection } from "./connection.ts";
import type { HttpResponse } from "./parser.ts";
import type { Kind, Tally } from "./tally.ts";

export interface Picture {
  /** Its name in expectations. */
  readonly name: string;
  readonly contentType: string;
  readonly body: Buffer;
}

export interface Load {
  readonly url: URL;
  readonly pictures: readonly Picture[];
  /** Requests a second, half on persistent and half on new connections. */
  readonly rate: number;
  /** Persistent connections, used in turn. */
  readonly sockets: number;
  readonly timeoutMs: number;
  /** The maximum number of requests in flight; the driver drops and counts further ones. */
  readonly maxOpen: number;
  /** The driver ends at the first of these. */
  readonly maxRequests: number;
  readonly maxSeconds: number;
  /** Persistent connections that repeatedly send `depth` pipelined requests. */
  readonly pipelined?: { readonly connections: number; readonly depth: number };
  /** Persistent connections that are idle for `seconds` between two requests. */
  readonly idle?: { readonly connections: number; readonly seconds: number };
  /** Requests whose body takes `seconds` to send, on new connections. */
  readonly long?: { readonly connections: number; readonly seconds: number };
}

const PIPELINE_PAUSE_MS = 100;

/** Sends the load until the signal, the count or the time ends it, and then waits for the requests in flight. */
export async function drive(
  load: Load,
  check: Check,
  tally: Tally,
  now: () => number,
  signal: AbortSignal,
): Promise<void> {
  const broken = new AbortController();
  const ended = AbortSignal.any([
    signal,
    broken.signal,
    AbortSignal.timeout(Math.ceil(load.maxSeconds * 1000)),
  ]);
  const host = load.url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(load.url.port || 80);
  const requests = load.pictures.map((picture) => ({
    picture: picture.name,
    kept: requestBytes(load.url, picture, "keep-alive"),
    fresh: requestBytes(load.url, picture, "close"),
  }));
  let turn = 0;

  function nextRequest() {
    const request = requests[turn % requests.length];
    turn += 1;
    if (!request) throw new Error("no picture to send");
    return request;
  }

  function going(): boolean {
    return !ended.aborted && turn < load.maxRequests;
  }

  async function measure(
    kind: Kind,
    picture: string,
    use: number,
    run: () => Promise<HttpResponse>,
  ): Promise<void> {
    const began = now();
    try {
      const verdict = check(picture, await run());
      tally.record({ kind, use, tookMs: now() - began, ...verdict });
    } catch (error) {
      if (!(error instanceof ExchangeError)) throw error;
      const { reason, message } = error;
      tally.record({ kind, use, tookMs: now() - began, wrong: reason, detail: message });
    }
  }

  let free: Connection[] = [];
  let busy = 0;

  /** All sockets take turns, even if one is enough: they lead to different pods. */
  function takeKept(): Connection {
    free = free.filter((connection) => connection.idle());
    const rested = free.length + busy < load.sockets ? undefined : free.shift();
    return rested ?? openConnection(host, port);
  }

  async function keepAlive(): Promise<void> {
    const connection = takeKept();
    const { picture, kept } = nextRequest();
    busy += 1;
    await measure("keepAlive", picture, connection.uses() + 1, () =>
      connection.exchange(kept, load.timeoutMs),
    );
    busy -= 1;
    if (connection.idle() && free.length < load.sockets) free.push(connection);
    else connection.end();
  }

  async function fresh(): Promise<void> {
    const connection = openConnection(host, port);
    const { picture, fresh } = nextRequest();
    await measure("fresh", picture, 1, () => connection.exchange(fresh, load.timeoutMs));
    connection.end();
  }

  async function atRate(): Promise<void> {
    const open = new Set<Promise<void>>();
    const began = now();
    for (let made = 0; going(); made += 1) {
      const due = began + (made * 1000) / load.rate;
      if (due > now()) await pause(due - now(), ended);
      if (!going()) break;
      if (open.size >= load.maxOpen) {
        tally.drop();
        // Below the resolution of timers, each drop would otherwise be one turn of a busy loop.
        await pause(1, ended);
        continue;
      }
      const one = (made % 2 === 0 ? keepAlive() : fresh())
        .catch((error: unknown) => broken.abort(error))
        .finally(() => open.delete(one));
      open.add(one);
    }
    await Promise.all(open);
    for (const connection of free) connection.end();
  }

  async function pipelined(depth: number): Promise<void> {
    let connection: Connection | undefined;
    while (going()) {
      if (!connection?.idle()) connection = openConnection(host, port);
      const used = connection;
      const batch = Array.from({ length: depth }, async () => {
        const { picture, kept } = nextRequest();
        await measure("pipelined", picture, used.uses() + 1, () =>
          used.exchange(kept, load.timeoutMs),
        );
      });
      await Promise.all(batch);
      await pause(PIPELINE_PAUSE_MS, ended);
    }
    connection?.end();
  }

  async function idle(seconds: number): Promise<void> {
    let connection: Connection | undefined;
    while (going()) {
      if (!connection?.idle()) connection = openConnection(host, port);
      const used = connection;
      const { picture, kept } = nextRequest();
      await measure("idle", picture, used.uses() + 1, () => used.exchange(kept, load.timeoutMs));
      await pause(seconds * 1000, ended);
    }
    connection?.end();
  }

  async function long(seconds: number): Promise<void> {
    while (going()) {
      const connection = openConnection(host, port);
      const { picture, fresh } = nextRequest();
      await measure("long", picture, 1, () =>
        connection.exchangeSlowly(fresh, seconds * 1000, load.timeoutMs),
      );
      connection.end();
    }
  }

  const loops = [
    ...times(load.rate > 0 ? 1 : 0, atRate),
    ...times(load.pipelined?.connections, () => pipelined(load.pipelined?.depth ?? 1)),
    ...times(load.idle?.connections, () => idle(load.idle?.seconds ?? 1)),
    ...times(load.long?.connections, () => long(load.long?.seconds ?? 1)),
  ];
  // A bug in the driver ends the process: traffic that stops silently would look like success.
  await Promise.all(loops.map((loop) => loop.catch((error: unknown) => broken.abort(error))));
  broken.signal.throwIfAborted();
}

function times(count: number | undefined, run: () => Promise<void>): Promise<void>[] {
  return Array.from({ length: count ?? 0 }, run);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

function requestBytes(url: URL, { contentType, body }: Picture, connection: string): Buffer {
  const head = [
    `POST ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    `Connection: ${connection}`,
    `Content-Type: ${contentType}`,
    `Content-Length: ${body.length}`,
    "User-Agent: aiapp-traffic",
    "",
    "",
  ].join("\r\n");
  return Buffer.concat([Buffer.from(head), body]);
}
