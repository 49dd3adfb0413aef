import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";

import { errors } from "../errors.ts";
import type { Budget } from "../budget.ts";
import { createFrames } from "./frames.ts";

/** Node.js announces every stream of HTTP/2 there; the library hands a message over only when all of it has come. */
const STREAMS = "http2.server.stream.created";
/** Messages up to this size are admitted always: connections and streams bound their number. */
const UNCOUNTED_BYTES = 64 * 1024;
/** How many times its size a compressed message may become: no more than that is possible with deflate. */
const MAX_RATIO = 1032;

export interface ArrivalLimits {
  /** Of all messages in flight. */
  readonly budget: Budget;
  /** Of one message, decompressed. */
  readonly maxBytes: number;
  readonly onRefused: () => void;
}

/**
 * Counts what arrives on streams to this port into the budget of bytes in flight, from the first byte of a message
 * until its answer has left; of a stream of messages the last two, since it is read one by one. A compressed message counts
 * as the most that it may become. A stream that finds none left is answered with UNAVAILABLE.
 * @returns stops it
 */
export function boundArrivals(port: number, limits: ArrivalLimits): () => void {
  const onStream = (message: unknown): void => {
    const { stream, headers } = message as {
      readonly stream: ServerHttp2Stream;
      readonly headers: IncomingHttpHeaders;
    };
    if (stream.session?.socket.localPort === port) bound(stream, isCompressed(headers), limits);
  };
  subscribe(STREAMS, onStream);
  return () => void unsubscribe(STREAMS, onStream);
}

function isCompressed(headers: IncomingHttpHeaders): boolean {
  return (headers["grpc-encoding"] ?? "identity") !== "identity";
}

function bound(
  stream: ServerHttp2Stream,
  compressed: boolean,
  { budget, maxBytes, onRefused }: ArrivalLimits,
): void {
  const frames = createFrames();
  let arrived = 0;
  let counted = 0;
  let before = 0;
  let isRefused = false;
  stream.once("close", () => budget.give(before + counted));
  stream.on("data", (chunk: Buffer) => {
    for (const { isStart, bytes } of frames.split(chunk)) {
      if (isRefused) return;
      if (isStart) {
        budget.give(before);
        before = counted;
        arrived = 0;
        counted = 0;
      }
      arrived += bytes;
      const worth = arrived + (compressed ? Math.min(arrived * MAX_RATIO, maxBytes) : 0);
      if (worth <= UNCOUNTED_BYTES) continue;
      if (budget.take(worth - counted)) {
        counted = worth;
        continue;
      }
      isRefused = true;
      onRefused();
      refuse(stream);
    }
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
  // Once the answer has left: the client need not send the rest. At once for the library, which gets the same chunk next:
  // it would decompress a message that ends there, and answer it a second time.
  stream.close(constants.NGHTTP2_NO_ERROR);
}
