import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";

import { Server, ServerCredentials, type ServiceDefinition } from "@grpc/grpc-js";
import { load, type PackageDefinition } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";

import { ServerError } from "../errors.ts";
import { boundArrivals } from "./arrivals.ts";
import { tolerant, type GrpcParts } from "./call.ts";
import { healthService } from "./health.ts";
import { inferenceService } from "./service.ts";

export interface GrpcServer {
  readonly port: number;
  /** Asks clients to connect again, now and whenever a new one has come, while it serves on. */
  readonly drain: (maxMs: number) => void;
  /** Ends every call. */
  readonly close: () => Promise<void>;
}

const INFERENCE = "inference.GRPCInferenceService";
const HEALTH = "grpc.health.v1.Health";
const protos = join(import.meta.dirname, "protos");

const IDLE_MS = 300_000;
const MAX_STREAMS = 256;
const DRAIN_EVERY_MS = 1000;

/** The Open Inference Protocol over gRPC, with the health service and reflection. @throws the error of listening */
export async function startGrpc(
  parts: GrpcParts,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<GrpcServer> {
  const { config } = parts;
  const definition = await load(["inference.proto", "health.proto"], {
    includeDirs: [protos],
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  const server = new Server({
    "grpc.max_receive_message_length": config.maxBodyBytes,
    "grpc.max_send_message_length": -1,
    "grpc.max_concurrent_streams": MAX_STREAMS,
    "grpc.max_connection_idle_ms": IDLE_MS,
    "grpc.enable_channelz": 0,
  });
  server.addService(tolerant(serviceOf(definition, INFERENCE)), inferenceService(parts));
  server.addService(
    tolerant(serviceOf(definition, HEALTH)),
    healthService(parts, [INFERENCE, HEALTH]),
  );
  new ReflectionService(definition).addToServer(server);

  // A listener of our own bounds the connections, and says why it cannot listen.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listener = createServer((socket) => injector.injectConnection(socket));
  listener.maxConnections = config.maxConnections;
  listener.listen(port, host);
  await once(listener, "listening");
  const { port: bound } = listener.address() as AddressInfo;
  const unbound = boundArrivals(bound, {
    budget: parts.budget,
    maxBytes: config.maxBodyBytes,
    onRefused: () => parts.metrics.addFailure("OVERLOADED", 0),
  });
  let draining: NodeJS.Timeout | undefined;
  return {
    port: bound,
    drain: (maxMs) => {
      injector.drain(maxMs);
      draining ??= setInterval(() => injector.drain(maxMs), DRAIN_EVERY_MS);
    },
    close: async () => {
      clearInterval(draining);
      unbound();
      const closed = once(listener, "close");
      listener.close();
      injector.destroy();
      server.forceShutdown();
      await closed;
    },
  };
}

function serviceOf(definition: PackageDefinition, name: string): ServiceDefinition {
  const service = definition[name];
  if (service === undefined || "format" in service)
    throw new ServerError("INTERNAL", `the protocol's files lack the service ${name}`);
  return service;
}
