import type { EventEmitter } from "node:events";

import {
  Metadata,
  status,
  type ServerErrorResponse,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
} from "@grpc/grpc-js";

import type { Config } from "../config.ts";
import { errors, ServerError } from "../errors.ts";
import type { Keys } from "../keys.ts";
import type { RouteParts } from "../http/parts.ts";
import { REQUEST_ID, requestIdFrom } from "../http/request-id.ts";

/** What the service needs of the server. */
export type GrpcParts = Omit<RouteParts, "connections">;

/** What a message becomes that is no message of its type. */
const MALFORMED = Symbol("malformed");

/** A service whose handlers see malformed messages: the library would call them a fault of the server. */
export function tolerant(service: ServiceDefinition): ServiceDefinition {
  return Object.fromEntries(
    Object.entries(service).map(([name, method]) => {
      const requestDeserialize = (bytes: Buffer): object => {
        try {
          return method.requestDeserialize(bytes);
        } catch {
          return { [MALFORMED]: true };
        }
      };
      return [name, { ...method, requestDeserialize }];
    }),
  );
}

/** @throws REQUEST_INVALID */
export function checkMessage(message: object): void {
  if (MALFORMED in message)
    throw new ServerError("REQUEST_INVALID", "the message is not of the type of its method");
}

/** @throws UNAUTHENTICATED */
export function checkKey(keys: Keys, metadata: Metadata): void {
  const [authorization] = metadata.get("authorization");
  keys.check(authorization === undefined ? undefined : String(authorization));
}

/** The client's own id of a call, or a new one. */
export function requestIdOfCall({ metadata }: { readonly metadata: Metadata }): string {
  return requestIdFrom(metadata.get(REQUEST_ID)[0]);
}

/** Headers, or trailers of an error: the call's id, and the release that answers. */
export function answerMetadata({ release, model }: Config, id: string): Metadata {
  const metadata = new Metadata();
  metadata.set(REQUEST_ID, id);
  metadata.set("aiapp-release", release);
  metadata.set("aiapp-model-version", model.version);
  return metadata;
}

/** An error as a status; a fault of the server keeps its cause to itself. */
export function statusOf(
  error: unknown,
  { config, log }: Pick<GrpcParts, "config" | "log">,
  id: string,
): Partial<ServerErrorResponse> & { readonly code: number } {
  const metadata = answerMetadata(config, id);
  if (error instanceof ServerError)
    return { code: errors[error.code].grpc, details: error.message, metadata };
  log.error({ id, error }, "request failed");
  const details = "a fault inside the server: see its log";
  return { code: errors.INTERNAL.grpc, details, metadata };
}

type Unary<Request, Answer> = (
  call: ServerUnaryCall<Request, Answer>,
  callback: sendUnaryData<Answer>,
) => void;

/** What a method that answers once answers. */
export type Answering<Request, Answer> = (
  request: Request,
  call: ServerUnaryCall<Request, Answer>,
  id: string,
) => Answer | Promise<Answer>;

/** A handler of a method that answers once. */
export function unary<Request extends object, Answer>(
  parts: Pick<GrpcParts, "config" | "log">,
  answer: Answering<Request, Answer>,
): Unary<Request, Answer> {
  async function respond(...[call, callback]: Parameters<Unary<Request, Answer>>): Promise<void> {
    const id = requestIdOfCall(call);
    const logAnswer = accessLogOf(parts, call.getPath(), id);
    let message: Answer;
    try {
      checkMessage(call.request);
      message = await answer(call.request, call, id);
    } catch (error) {
      const refusal = statusOf(error, parts, id);
      callback(refusal);
      logAnswer(refusal.code);
      return;
    }
    call.sendMetadata(answerMetadata(parts.config, id));
    callback(null, message);
    logAnswer(status.OK);
  }
  return (call, callback) => void respond(call, callback);
}

/** Begins a line of log that its answer's status ends, where each request has one. */
export function accessLogOf(
  { config, log }: Pick<GrpcParts, "config" | "log">,
  method: string,
  id: string,
): (code: number) => void {
  const began = performance.now();
  return (code) => {
    if (!config.hasAccessLog) return;
    const ms = Math.round((performance.now() - began) * 10) / 10;
    log.info({ id, method, status: nameOfStatus(code), ms }, "request");
  };
}

/** Such as `UNAVAILABLE`. */
export function nameOfStatus(code: number): string {
  return status[code] ?? "UNKNOWN";
}

/** Aborts when the client has gone or the time is up, with the error that says which. */
export function signalOfCall(
  call: Pick<EventEmitter, "once" | "off">,
  timeoutMs: number,
): { readonly signal: AbortSignal; readonly done: () => void } {
  const controller = new AbortController();
  const timer = setTimeout(
    () =>
      controller.abort(
        new ServerError("TIMED_OUT", "the request was not answered in time: try again"),
      ),
    timeoutMs,
  );
  const cancel = (): void =>
    controller.abort(new ServerError("CLIENT_GONE", "the client cancelled its call"));
  call.once("cancelled", cancel);
  return {
    signal: controller.signal,
    done: () => {
      clearTimeout(timer);
      // A stream lives on after a message.
      call.off("cancelled", cancel);
    },
  };
}
