import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";

import { misbehave, spoil, type Fault, type Faults } from "./faults.ts";
import type { Certificate } from "./tls.ts";

/** Where a service of the tests listens. */
export interface Listening {
  readonly host: string;
  readonly port: number;
}

/** A TLS server on `host`; port 0 is a free one. */
export async function listenTls(
  { host, port }: Listening,
  certificate: Certificate,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{
  readonly server: Server;
  readonly port: number;
  readonly close: () => Promise<void>;
}> {
  const server = createServer({ cert: certificate.cert, key: certificate.key }, handle);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return {
    server,
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export interface Forwarding {
  readonly service: Fault["service"];
  readonly faults: Faults;
  /** A plain server on loopback. */
  readonly target: number;
  readonly rewrite?: (headers: IncomingMessage["headers"]) => IncomingMessage["headers"];
}

/** Forwards a request to the real service, records it, and injects faults. */
export function forward(
  { service, faults, target, rewrite = (headers) => headers }: Forwarding,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { method = "GET", url = "/", headers } = request;
  const conditional = headers["if-none-match"] !== undefined || headers["if-match"] !== undefined;
  const range = headers["x-ms-range"]?.toString() ?? headers.range;
  const record = (status: number): void =>
    faults.record({
      service,
      method,
      path: url,
      status,
      conditional,
      ...(range !== undefined && { range }),
    });
  const action = faults.take(service, method, url);
  if (misbehave(action, request, response)) {
    record(action?.kind === "status" ? action.status : 0);
    return;
  }
  const onward = httpRequest(
    { host: "127.0.0.1", port: target, method, path: url, headers },
    (answer) => {
      const status = answer.statusCode ?? 502;
      record(status);
      response.writeHead(status, rewrite(answer.headers));
      spoil(action, answer, response);
      answer.on("error", () => response.destroy());
    },
  );
  onward.on("error", () => response.destroy());
  response.on("close", () => onward.destroy());
  request.pipe(onward);
}
