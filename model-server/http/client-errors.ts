import { STATUS_CODES, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

import type { FastifyRequest } from "fastify";

import { ServerError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { newRequestId, REQUEST_ID, requestIdOf } from "./request-id.ts";

/** Answers what never becomes a request, or never a whole one: by text that is written to the connection itself. */
export interface ClientErrors {
  /** A request has begun: an answer in the middle of its body has its id. */
  readonly arrived: (request: FastifyRequest) => void;
  readonly answer: (error: Error & { readonly code?: string }, socket: Socket) => void;
  readonly refuseTunnel: (request: IncomingMessage, socket: Duplex) => void;
}

/** @param log gets a line for each of them; undefined where requests are not logged */
export function createClientErrors(maxHeaderBytes: number, log: Logger | undefined): ClientErrors {
  const last = new WeakMap<Duplex, FastifyRequest>();

  function lastAnswer(id: string, error: ServerError, headers: readonly string[] = []): string {
    log?.info({ id, status: error.status }, "request");
    const body = JSON.stringify({ error: error.message });
    return [
      `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ""}`,
      "content-type: application/json",
      `content-length: ${Buffer.byteLength(body)}`,
      "connection: close",
      `${REQUEST_ID}: ${id}`,
      ...headers,
      "",
      body,
    ].join("\r\n");
  }

  return {
    arrived: (request) => last.set(request.raw.socket, request),
    answer: (error, socket) => {
      if (error.code === "ECONNRESET" || !socket.writable) {
        socket.destroy();
        return;
      }
      const known = last.get(socket);
      const id = known === undefined || known.raw.complete ? newRequestId() : known.id;
      socket.end(lastAnswer(id, clientErrorOf(error, maxHeaderBytes)));
    },
    // Node.js hands over the connection of a CONNECT, and would close it without an answer.
    refuseTunnel: (request, socket) => {
      socket.on("error", () => socket.destroy());
      const error = new ServerError("METHOD_NOT_ALLOWED", "there is no CONNECT: this is no proxy");
      // The client may never close its half.
      socket.end(lastAnswer(requestIdOf(request), error, ["allow: "]), () => socket.destroy());
    },
  };
}

/** What Node.js says of bytes that are no request. */
function clientErrorOf({ code }: { readonly code?: string }, maxHeaderBytes: number): ServerError {
  switch (code ?? "") {
    case "HPE_HEADER_OVERFLOW":
      return new ServerError(
        "HEADERS_TOO_LARGE",
        `the path and headers have more than ${maxHeaderBytes / 1024} KiB: send fewer or shorter headers, and values in the body`,
      );
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new ServerError(
        "TOO_SLOW",
        "the request did not arrive in time: send it faster, or less at once",
      );
    default:
      return new ServerError("REQUEST_INVALID", "the request is not valid HTTP/1.1");
  }
}
