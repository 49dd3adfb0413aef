import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";

import type { Budget } from "../budget.ts";
import { discard } from "../discard.ts";
import { ServerError } from "../errors.ts";

export interface BodyLimits {
  /** Of one body, decompressed. */
  readonly maxBytes: number;
  /** Of all bodies in flight; small ones are not counted. */
  readonly budget: Budget;
}

/** Bodies up to this size are admitted always: connections bound their number. */
const UNCOUNTED_BYTES = 64 * 1024;

/**
 * Reads a whole body, decompressed as its Content-Encoding says. What it takes of the budget is returned when the
 * response has left.
 * @throws BODY_TOO_LARGE, OVERLOADED when the bodies in flight take too much, UNSUPPORTED_TYPE, REQUEST_INVALID
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  { maxBytes, budget }: BodyLimits,
): Promise<Buffer> {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > maxBytes) throw tooLarge(maxBytes);
  let counted = 0;
  response.on("close", () => budget.give(counted));
  const count = (total: number): void => {
    if (total > maxBytes) throw tooLarge(maxBytes);
    if (total <= UNCOUNTED_BYTES || total <= counted) return;
    if (!budget.take(total - counted))
      throw new ServerError(
        "OVERLOADED",
        "the requests in flight are too large in all: try again in a moment",
      );
    counted = total;
  };
  return collect(decompress(request), request, count);
}

function collect(
  stream: Readable,
  request: IncomingMessage,
  count: (total: number) => void,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      stream.off("data", add);
      // What still comes is not kept; the connection ends with the answer. What has come is not either: the request
      // outlives its answer.
      chunks.length = 0;
      if (stream !== request) {
        request.unpipe();
        stream.destroy();
      }
      request.resume();
      reject(error);
    };
    const add = (chunk: Buffer): void => {
      total += chunk.length;
      try {
        count(total);
      } catch (error) {
        fail(error);
        return;
      }
      chunks.push(chunk);
    };
    stream.on("data", add);
    stream.once("end", () => {
      const body = Buffer.concat(chunks, total);
      // Those of a decompressor are its own.
      if (stream === request) for (const chunk of chunks) discard(chunk);
      chunks.length = 0;
      resolve(body);
    });
    const gone = (): ServerError =>
      new ServerError("CLIENT_GONE", "the client closed its connection");
    stream.once("error", (error) => {
      fail(stream === request ? gone() : broken(request, error));
    });
    request.once("close", () => {
      if (!request.complete) fail(gone());
    });
  });
}

function broken(request: IncomingMessage, cause: unknown): ServerError {
  const encoding = request.headers["content-encoding"];
  return new ServerError("REQUEST_INVALID", `the body is not ${encoding}, as its header says`, {
    cause,
  });
}

function decompress(request: IncomingMessage): Readable {
  const encoding = request.headers["content-encoding"]?.toLowerCase() ?? "identity";
  switch (encoding) {
    case "identity":
      return request;
    case "gzip":
    case "x-gzip":
      return request.pipe(createGunzip());
    case "deflate":
      return request.pipe(createInflate());
    case "br":
      return request.pipe(createBrotliDecompress());
    default:
      throw new ServerError(
        "UNSUPPORTED_TYPE",
        `the Content-Encoding ${encoding.slice(0, 50)} is not supported: send gzip, deflate, br or none`,
      );
  }
}

function tooLarge(maxBytes: number): ServerError {
  return new ServerError("BODY_TOO_LARGE", `the body is larger than ${maxBytes} bytes`);
}
