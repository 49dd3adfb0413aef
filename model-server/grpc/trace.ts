import type { Metadata } from "@grpc/grpc-js";

import type { RequestTrace, Tracing } from "../tracing/tracing.ts";

/** Begins the span of one message, below that of the caller whose metadata names it. */
export function traceCall(
  tracing: Tracing,
  call: { readonly metadata: Metadata; readonly getPath: () => string },
  id: string,
  began: number,
): RequestTrace {
  const name = call.getPath().slice(1);
  return tracing.begin({
    name,
    began,
    headers: call.metadata.getMap(),
    attributes: { "rpc.system.name": "grpc", "rpc.method": name, "aiapp.request_id": id },
  });
}
