import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { constants, type ServerHttp2Stream } from "node:http2";

import { errors } from "../errors.ts";
import type { Budget } from "../budget.ts";

/** Node.js announces every stream of HTTP/2 there; the library hands a message over only when all of it has come. */
const STREAMS = "http2.server.stream.created";
/** Messages up to this size are admitted always: connections and streams bound their number. */
const UNCOUNTED_BYTES = 64 * 1024;

/**
 * Counts what arrives on streams to this port into the budget of bytes in flight, from the first byte of a message
 * until its answer has left. A stream that finds none left is answered with UNAVAILABLE.
 * @returns stops it
 */
export function boundArrivals(
  port: number,
  { budget, onRefused }: { readonly budget: Budget; readonly onRefused: () => void },
): () => void {
  const onStream = (message: unknown): void => {
    const { stream } = message as { readonly stream: ServerHttp2Stream };
    if (stream.session?.socket.localPort === port) bound(stream, budget, onRefused);
  };
  subscribe(STREAMS, onStream);
  return () => void unsubscribe(STREAMS, onStream);
}

function bound(stream: ServerHttp2Stream, budget: Budget, onRefused: () => void): void {
  let arrived = 0;
  let counted = 0;
  let isRefused = false;
  stream.once("close", () => budget.give(counted));
  stream.on("data", (chunk: Buffer) => {
    arrived += chunk.length;
    if (arrived <= UNCOUNTED_BYTES || isRefused) return;
    if (budget.take(arrived - counted)) {
      counted = arrived;
      return;
    }
    isRefused = true;
    onRefused();
    refuse(stream);
  });
}

function refuse(stream: ServerHttp2Stream): void {
  const status = {
    "grpc-status": String(errors.OVERLOADED.grpc),
    "grpc-message": encodeURI("the requests in flight are too large in all: try again in a moment"),
  };
  if (stream.headersSent) {
    stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    return;
  }
  stream.respond(
    { ":status": 200, "content-type": "application/grpc+proto", ...status },
    { endStream: true },
  );
  // Once the answer has left: the client need not send the rest.
  setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
}
