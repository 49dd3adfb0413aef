import { type ServerWritableStream, type UntypedServiceImplementation } from "@grpc/grpc-js";

import { quoted, ServerError } from "../errors.ts";
import { checkMessage, requestIdOfCall, statusOf, unary, type GrpcParts } from "./call.ts";

interface HealthRequest {
  readonly service: string;
}
type Serving = "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";
interface HealthAnswer {
  readonly status: Serving;
}

const WATCH_MS = 1000;

/** The standard health service: of the server as a whole, and of each of its services. */
export function healthService(
  parts: Pick<GrpcParts, "config" | "log" | "health">,
  services: readonly string[],
): UntypedServiceImplementation {
  const known = new Set(["", ...services]);

  function servingOf(service: string): Serving {
    if (!known.has(service)) return "SERVICE_UNKNOWN";
    return parts.health().ready ? "SERVING" : "NOT_SERVING";
  }

  function watch(call: ServerWritableStream<HealthRequest, HealthAnswer>): void {
    try {
      checkMessage(call.request);
    } catch (error) {
      call.emit("error", statusOf(error, parts, requestIdOfCall(call)));
      return;
    }
    let last: Serving | undefined;
    const look = (): void => {
      const serving = servingOf(call.request.service);
      if (serving !== last) call.write({ status: serving });
      last = serving;
    };
    look();
    const timer = setInterval(look, WATCH_MS);
    call.once("cancelled", () => {
      clearInterval(timer);
      call.end();
    });
  }

  return {
    Check: unary(parts, ({ service }: HealthRequest): HealthAnswer => {
      const serving = servingOf(service);
      if (serving !== "SERVICE_UNKNOWN") return { status: serving };
      throw new ServerError("NOT_FOUND", `there is no service ${quoted(service)}`);
    }),
    Watch: watch,
  };
}
