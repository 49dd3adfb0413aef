import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import { loadSync, type ServiceDefinition } from "@grpc/proto-loader";
import fastify from "fastify";
import { onTestFinished, vi } from "vitest";

/** A collector of OTLP over HTTP: keeps the spans that it is sent. */
export interface Collector {
  readonly url: string;
  readonly spans: readonly Received[];
  /** Of the requests that brought them. */
  readonly headers: readonly Readonly<Record<string, unknown>>[];
  /** All bytes that came. */
  readonly bytes: () => Buffer;
  /** The spans, once there are so many. */
  readonly atLeast: (count: number) => Promise<readonly Received[]>;
}

export interface Received {
  readonly name: string;
  /** 2: of a server. */
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly began: bigint;
  readonly ended: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, unknown>>;
  /** Code 2: an error. */
  readonly status: { readonly code: number; readonly message: string };
}

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>> & { readonly value: string };
}
interface Export {
  readonly resource_spans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scope_spans: readonly { readonly spans: readonly Span[] }[];
  }[];
}
interface Span {
  readonly trace_id: Buffer;
  readonly span_id: Buffer;
  readonly parent_span_id: Buffer;
  readonly name: string;
  readonly kind: number;
  readonly start_time_unix_nano: string;
  readonly end_time_unix_nano: string;
  readonly attributes: readonly KeyValue[];
  readonly status: Received["status"] | null;
}

const definition = loadSync(join(import.meta.dirname, "fixtures", "traces.proto"), {
  keepCase: true,
  longs: String,
  defaults: true,
  oneofs: true,
});
const method = (definition["otlp.TraceService"] as ServiceDefinition)["Export"];
const BOUND = { timeout: 20_000, interval: 10 };

export async function startCollector(): Promise<Collector> {
  const spans: Received[] = [];
  const headers: Readonly<Record<string, unknown>>[] = [];
  const bodies: Buffer[] = [];
  const app = fastify();
  app.addContentTypeParser("application/x-protobuf", { parseAs: "buffer" }, (_, body, done) =>
    done(null, body),
  );
  app.post("/v1/traces", (request, reply) => {
    const body = request.body as Buffer;
    bodies.push(body);
    headers.push(request.headers);
    spans.push(...spansOf(method?.requestDeserialize(body) as Export));
    return reply.type("application/x-protobuf").send(Buffer.alloc(0));
  });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  onTestFinished(() => app.close());
  return {
    url,
    spans,
    headers,
    bytes: () => Buffer.concat(bodies),
    atLeast: (count) =>
      vi.waitFor(() => {
        if (spans.length < count) throw new Error(`${spans.length} of ${count} spans`);
        return spans;
      }, BOUND),
  };
}

function spansOf({ resource_spans: all }: Export): Received[] {
  return all.flatMap(({ resource, scope_spans: scopes }) =>
    scopes.flatMap(({ spans }) =>
      spans.map((span) => ({
        name: span.name,
        kind: span.kind,
        traceId: span.trace_id.toString("hex"),
        spanId: span.span_id.toString("hex"),
        parentId: span.parent_span_id.toString("hex"),
        began: BigInt(span.start_time_unix_nano),
        ended: BigInt(span.end_time_unix_nano),
        attributes: recordOf(span.attributes),
        resource: recordOf(resource.attributes),
        status: span.status ?? { code: 0, message: "" },
      })),
    ),
  );
}

function recordOf(attributes: readonly KeyValue[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      const one = value[value.value];
      return [key, value.value === "int_value" ? Number(one) : one];
    }),
  );
}

/** A collector that takes connections and never answers. */
export async function startHanging(): Promise<{
  readonly url: string;
  readonly requests: () => number;
}> {
  let requests = 0;
  const server = createServer(() => {
    requests += 1;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, requests: () => requests };
}
