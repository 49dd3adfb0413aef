import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";

export const REQUEST_ID = "x-request-id";

/** What may stand in a log and a header as it is. */
const ID = /^[\x21-\x7e]{1,128}$/;

/** The client's own id of a request, or a new one. */
export function requestIdOf({ headers }: IncomingMessage): string {
  return requestIdFrom(headers[REQUEST_ID]);
}

/** @param given what the client sent */
export function requestIdFrom(given: unknown): string {
  return typeof given === "string" && ID.test(given) ? given : newRequestId();
}

export function newRequestId(): string {
  return randomUUID();
}
