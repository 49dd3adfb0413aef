import { once } from "node:events";
import type { Server, Socket } from "node:net";
import { createServer } from "node:net";

/** Handles the n-th request of a connection (from 1), byte by byte. */
export type Behaviour = (request: ServedRequest) => void;

export interface ServedRequest {
  readonly socket: Socket;
  /** Of this connection, from 1. */
  readonly nth: number;
  /** Of the server, from 1. */
  readonly total: number;
  readonly answer: (options?: Partial<Answer>) => void;
}

export interface Answer {
  readonly status: number;
  readonly release: string;
  readonly modelVersion: string;
  readonly label: string;
  readonly close: boolean;
  readonly chunked: boolean;
}

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly server: Server;
  readonly sockets: ReadonlySet<Socket>;
  readonly total: () => number;
}

/** A scoring server on plain sockets, which fails on command, as a real one cannot. */
export async function startServer(behaviour: Behaviour): Promise<TestServer> {
  const sockets = new Set<Socket>();
  let total = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    let buffer = Buffer.alloc(0);
    let nth = 0;
    socket.on("data", (chunk: Buffer) => {
      buffer = Buffer.concat([buffer, chunk]);
      for (;;) {
        const head = buffer.indexOf("\r\n\r\n");
        if (head < 0) return;
        const length = /content-length: (\d+)/i.exec(buffer.toString("latin1", 0, head))?.[1];
        const end = head + 4 + Number(length ?? 0);
        if (buffer.length < end) return;
        buffer = buffer.subarray(end);
        nth += 1;
        total += 1;
        behaviour({ socket, nth, total, answer: (options) => socket.write(answerBytes(options)) });
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  return {
    url: `http://127.0.0.1:${address.port}/score`,
    server,
    sockets,
    total: () => total,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

export function answerBytes(options: Partial<Answer> = {}): string {
  const { status = 200, release = "aaaa000000", modelVersion = "1", label = "7" } = options;
  const body = `{"result":[[[["${label}",98.5],["1",1.5]]],"Computed in ${Math.round(performance.now())} ms"]}`;
  const content = options.chunked
    ? `Transfer-Encoding: chunked\r\n\r\n${[body.slice(0, 9), body.slice(9)]
        .map((part) => `${part.length.toString(16)}\r\n${part}\r\n`)
        .join("")}0\r\n\r\n`
    : `Content-Length: ${body.length}\r\n\r\n${body}`;
  return [
    `HTTP/1.1 ${status} Whatever`,
    `AIApp-Release: ${release}`,
    `AIApp-Model-Version: ${modelVersion}`,
    `Connection: ${options.close ? "close" : "keep-alive"}`,
    content,
  ].join("\r\n");
}
