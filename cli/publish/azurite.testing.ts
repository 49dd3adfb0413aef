import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";

import type { BlobServiceClient } from "@azure/storage-blob";

import { accountClient, startAzurite, storageAccount } from "../../test/support/azurite.ts";

export const { name: account, key: accountKey } = storageAccount;

export interface TestStore extends AsyncDisposable {
  readonly origin: string;
  readonly service: BlobServiceClient;
}

/** A real Azurite in memory, on a free port of loopback, with an empty container `models`. */
export async function startStore(): Promise<TestStore> {
  const { port, close } = await startAzurite();
  return {
    origin: `http://127.0.0.1:${port}`,
    service: accountClient(port),
    [Symbol.asyncDispose]: close,
  };
}

/** What the proxy does with a request, or with the store's response to it. */
export type Verdict = "pass" | "cut" | "stall" | "loseResponse" | { readonly status: number };

export interface RecordingProxy extends AsyncDisposable {
  readonly origin: string;
  /** `PUT /models/digits/1/model.onnx?comp=block` in order of arrival, with ` new` if it has `If-None-Match: *`. */
  readonly seen: string[];
}

/** A proxy between publisher and store that records requests, and fails those that the test chooses. */
export async function startProxy(
  target: string,
  decide: (line: string, seen: readonly string[]) => Verdict,
): Promise<RecordingProxy> {
  const seen: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const url = new URL(incoming.url ?? "/", target);
    const comp = url.searchParams.get("comp");
    const line = `${incoming.method} ${url.pathname.replace(`/${account}`, "")}${comp ? `?comp=${comp}` : ""}`;
    seen.push(incoming.headers["if-none-match"] === "*" ? `${line} new` : line);
    const verdict = decide(line, seen);
    if (verdict === "cut") incoming.socket.destroy();
    else incoming.resume();
    if (typeof verdict === "object") {
      outgoing.writeHead(verdict.status, { "retry-after": "0" }).end();
    }
    if (verdict !== "pass" && verdict !== "loseResponse") return;
    const forward = httpRequest(
      url,
      { method: incoming.method, headers: incoming.headers },
      (response: IncomingMessage) => {
        if (verdict === "loseResponse") {
          response.resume().once("end", () => incoming.socket.destroy());
          return;
        }
        outgoing.writeHead(response.statusCode ?? 500, response.headers);
        response.pipe(outgoing);
      },
    );
    forward.on("error", () => incoming.socket.destroy());
    incoming.pipe(forward);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${portOf(server.address())}`,
    seen,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  return address.port;
}
