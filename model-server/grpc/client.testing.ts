import { join } from "node:path";

import {
  Client,
  credentials,
  Metadata,
  status,
  type ServiceDefinition,
  type ServiceError,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { onTestFinished } from "vitest";

const protos = join(import.meta.dirname, "protos");
const definition = loadSync(["inference.proto", "health.proto"], {
  includeDirs: [protos],
  keepCase: true,
  longs: String,
  enums: String,
});
export const inference = definition["inference.GRPCInferenceService"] as ServiceDefinition;
export const health = definition["grpc.health.v1.Health"] as ServiceDefinition;

export interface Called {
  readonly code: number;
  readonly details: string;
  readonly answer: Readonly<Record<string, unknown>> | undefined;
  /** Headers of an answer, trailers of an error. */
  readonly metadata: Metadata;
}

/** The test's end closes it. */
export function connectTo({
  host = "127.0.0.1",
  grpcPort,
}: {
  readonly host?: string;
  readonly grpcPort: number | undefined;
}): Client {
  const client = new Client(`${host}:${grpcPort}`, credentials.createInsecure());
  onTestFinished(() => client.close());
  return client;
}

/**
 * @param message an object, or bytes that are sent as they are
 * @param headers the call's metadata
 */
export async function call(
  client: Client,
  service: ServiceDefinition,
  name: string,
  message: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<Called> {
  const method = service[name];
  if (method === undefined) throw new Error(`there is no method ${name}`);
  const sentMetadata = new Metadata();
  for (const [key, value] of Object.entries(headers)) sentMetadata.set(key, value);
  return new Promise((resolve) => {
    let metadata = new Metadata();
    const sent = client.makeUnaryRequest(
      method.path,
      (value: object) => (Buffer.isBuffer(value) ? value : method.requestSerialize(value)),
      method.responseDeserialize as (bytes: Buffer) => Record<string, unknown>,
      message,
      sentMetadata,
      (error: ServiceError | null, answer) =>
        resolve({
          code: error?.code ?? status.OK,
          details: error?.details ?? "",
          answer,
          metadata: error?.metadata ?? metadata,
        }),
    );
    sent.on("metadata", (received) => {
      metadata = received;
    });
  });
}
