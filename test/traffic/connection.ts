import type { Socket } from "node:net";
import { connect } from "node:net";

import type { HttpResponse } from "./parser.ts";
import { createResponseParser } from "./parser.ts";

/**
 * An HTTP/1.1 client connection, because the usual clients hide failures: Node's cannot pipeline, and undici silently
 * retries pipelined requests. This one sends each request once, and reports each failure.
 */
export interface Connection {
  /** Sends a request at once, also while others are in flight: responses arrive in order. */
  readonly exchange: (request: Buffer, timeoutMs: number) => Promise<HttpResponse>;
  /** The same, with the second half of the body spread over `overMs`: a long request. */
  readonly exchangeSlowly: (
    request: Buffer,
    overMs: number,
    timeoutMs: number,
  ) => Promise<HttpResponse>;
  /** Open, without a `Connection: close`, and without requests in flight. */
  readonly idle: () => boolean;
  readonly uses: () => number;
  readonly end: () => void;
}

/** Why a request has no response. `reason` is short, to be counted. */
export class ExchangeError extends Error {
  override readonly name = "ExchangeError";
  readonly reason: string;

  constructor(reason: string, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

interface Waiting {
  readonly resolve: (response: HttpResponse) => void;
  readonly reject: (error: ExchangeError) => void;
  readonly timer: NodeJS.Timeout;
}

const SLOW_PIECES = 20;

/** Opens a connection; it accepts requests before it is established. */
export function openConnection(host: string, port: number): Connection {
  const socket: Socket = connect({ host, port, noDelay: true });
  const parser = createResponseParser();
  const waiting: Waiting[] = [];
  let connected = false;
  let noticed = false;
  let closed = false;
  let uses = 0;

  function failAll(reason: string, detail: string): void {
    closed = true;
    socket.destroy();
    for (const { reject, timer } of waiting.splice(0)) {
      clearTimeout(timer);
      reject(new ExchangeError(reason, detail));
    }
  }

  function settle(response: HttpResponse): void {
    const first = waiting.shift();
    if (!first) return failAll("Unrequested", "a response without a request");
    clearTimeout(first.timer);
    if (response.lastOne) noticed = true;
    first.resolve(response);
  }

  function peerClosed(): void {
    if (closed) return;
    const last = parser.end();
    if (last) settle(last);
    if (waiting.length === 0) return failAll("Closed", "");
    if (noticed)
      failAll("ClosedAfterNotice", "closed after a Connection: close, with requests sent");
    else if (parser.midway()) failAll("CutOff", "closed in the middle of the response");
    else failAll("Closed", "closed before the response");
  }

  socket.on("connect", () => {
    connected = true;
  });
  socket.on("data", (chunk: Buffer) => {
    try {
      for (const response of parser.push(chunk)) settle(response);
    } catch (error) {
      failAll("BadResponse", error instanceof Error ? error.message : String(error));
    }
  });
  socket.on("end", peerClosed);
  socket.on("close", peerClosed);
  socket.on("error", (error: NodeJS.ErrnoException) => {
    const reason = error.code ?? "SocketError";
    failAll(connected ? reason : `Connect:${reason}`, error.message);
  });

  function expectAnswer(timeoutMs: number): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        failAll(connected ? "Timeout" : "Connect:Timeout", `no response in ${timeoutMs} ms`);
      }, timeoutMs);
      waiting.push({ resolve, reject, timer });
    });
  }

  async function exchange(request: Buffer, timeoutMs: number): Promise<HttpResponse> {
    if (closed) throw new ExchangeError("Closed", "the connection was closed already");
    uses += 1;
    socket.write(request);
    return expectAnswer(timeoutMs);
  }

  async function exchangeSlowly(
    request: Buffer,
    overMs: number,
    timeoutMs: number,
  ): Promise<HttpResponse> {
    const half = Math.floor(request.length / 2);
    const step = Math.max(1, Math.ceil((request.length - half) / SLOW_PIECES));
    const answer = exchange(request.subarray(0, half), overMs + timeoutMs);
    let at = half;
    const pieces = setInterval(
      () => {
        if (closed || at >= request.length) return clearInterval(pieces);
        socket.write(request.subarray(at, at + step));
        at += step;
      },
      Math.max(1, Math.floor(overMs / SLOW_PIECES)),
    );
    return answer.finally(() => clearInterval(pieces));
  }

  return {
    exchange,
    exchangeSlowly,
    idle: () => !closed && !noticed && waiting.length === 0,
    uses: () => uses,
    end: () => {
      closed = true;
      socket.destroySoon();
    },
  };
}
