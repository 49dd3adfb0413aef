import { once } from "node:events";
import { connect } from "node:net";

import { vi } from "vitest";

export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** One connection, byte by byte: what other clients hide, such as pipelining and which side ended it. */
export interface RawClient extends AsyncDisposable {
  readonly write: (text: string) => void;
  /** All answers since the connection began, once there are so many. */
  readonly answers: (count: number) => Promise<readonly Answer[]>;
  /** All answers, once the server has ended the connection. */
  readonly ended: () => Promise<readonly Answer[]>;
  /** Goes away without a word. */
  readonly vanish: () => void;
}

const BOUND = { timeout: 10_000, interval: 10 };

export async function connectRaw(port: number): Promise<RawClient> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  let received = Buffer.alloc(0);
  let closed = false;
  socket.on("data", (bytes) => {
    received = Buffer.concat([received, bytes]);
  });
  // Missing answers show it.
  socket.on("error", () => {});
  socket.once("close", () => {
    closed = true;
  });
  return {
    write: (text) => socket.write(text),
    answers: (count) =>
      vi.waitFor(() => {
        const answers = parse(received);
        if (answers.length < count)
          throw new Error(`${answers.length} of ${count} answers, closed: ${closed}`);
        return answers;
      }, BOUND),
    ended: () =>
      vi.waitFor(() => {
        if (!closed) throw new Error("the connection is open");
        return parse(received);
      }, BOUND),
    vanish: () => socket.resetAndDestroy(),
    [Symbol.asyncDispose]: async () => {
      socket.destroy();
    },
  };
}

/** The whole answers in these bytes. */
function parse(bytes: Buffer): readonly Answer[] {
  const answers: Answer[] = [];
  for (let rest = bytes; ;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end === -1) return answers;
    const [first = "", ...lines] = rest.subarray(0, end).toString("latin1").split("\r\n");
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
      }),
    );
    const length = Number(headers.get("content-length") ?? 0);
    const body = rest.subarray(end + 4, end + 4 + length);
    if (body.length < length) return answers;
    answers.push({ status: Number(first.split(" ")[1]), headers, body: body.toString() });
    rest = rest.subarray(end + 4 + length);
  }
}

/** A request's bytes. */
export function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nhost: server\r\n\r\n`;
}

export function post(path: string, body: unknown): string {
  const text = JSON.stringify(body);
  return [
    `POST ${path} HTTP/1.1`,
    "host: server",
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(text)}`,
    "",
    text,
  ].join("\r\n");
}
