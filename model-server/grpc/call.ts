import {
  Metadata,
  type ServerErrorResponse,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
} from "@grpc/grpc-js";

import type { Config } from "../config.ts";
import { errors, ServerError } from "../errors.ts";
import type { Keys } from "../keys.ts";
import type { RouteParts } from "../http/parts.ts";

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

/** Headers, or trailers of an error, that name the release that answers. */
export function releaseMetadata({ release, model }: Config): Metadata {
  const metadata = new Metadata();
  metadata.set("aiapp-release", release);
  metadata.set("aiapp-model-version", model.version);
  return metadata;
}

/** An error as a status; a fault of the server keeps its cause to itself. */
export function statusOf(
  error: unknown,
  { config, log }: Pick<GrpcParts, "config" | "log">,
): Partial<ServerErrorResponse> {
  const metadata = releaseMetadata(config);
  if (error instanceof ServerError)
    return { code: errors[error.code].grpc, details: error.message, metadata };
  log.error({ error }, "request failed");
  const details = "a fault inside the server: see its log";
  return { code: errors.INTERNAL.grpc, details, metadata };
}

type Unary<Request, Answer> = (
  call: ServerUnaryCall<Request, Answer>,
  callback: sendUnaryData<Answer>,
) => void;

/** A handler of a method that answers once. */
export function unary<Request extends object, Answer>(
  parts: Pick<GrpcParts, "config" | "log">,
  answer: (request: Request, call: ServerUnaryCall<Request, Answer>) => Answer | Promise<Answer>,
): Unary<Request, Answer> {
  async function respond(...[call, callback]: Parameters<Unary<Request, Answer>>): Promise<void> {
    let message: Answer;
    try {
      checkMessage(call.request);
      message = await answer(call.request, call);
    } catch (error) {
      callback(statusOf(error, parts));
      return;
    }
    call.sendMetadata(releaseMetadata(parts.config));
    callback(null, message);
  }
  return (call, callback) => void respond(call, callback);
}

/** Aborts when the client has gone or the time is up, with the error that says which. */
export function signalOfCall(
  call: { readonly once: (event: "cancelled", listener: () => void) => unknown },
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
  call.once("cancelled", () =>
    controller.abort(new ServerError("CLIENT_GONE", "the client cancelled its call")),
  );
  return { signal: controller.signal, done: () => clearTimeout(timer) };
}
