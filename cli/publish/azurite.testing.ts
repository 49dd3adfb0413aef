import { spawn } from "node:child_process";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer as createTcpServer } from "node:net";
import { fileURLToPath } from "node:url";

import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";

/** Azurite's well-known development account: public, and of no use elsewhere. */
export const account = "devstoreaccount1";
export const accountKey =
  "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

export interface TestStore extends AsyncDisposable {
  readonly origin: string;
  readonly service: BlobServiceClient;
}

/** A real Azurite in memory, on a free port of loopback. */
export async function startStore(): Promise<TestStore> {
  const port = await freePort();
  const script = fileURLToPath(import.meta.resolve("azurite/dist/src/blob/main.js"));
  const child = spawn(
    process.execPath,
    [
      script,
      "--blobHost",
      "127.0.0.1",
      "--blobPort",
      String(port),
      "--inMemoryPersistence",
      "--skipApiVersionCheck",
      "--disableTelemetry",
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let log = "";
  await new Promise<void>((resolve, reject) => {
    function read(chunk: Buffer): void {
      log += chunk.toString();
      if (log.includes("successfully listens")) resolve();
    }
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("exit", () => reject(new Error(`Azurite did not start: ${log}`)));
  });
  child.stdout.resume();
  const origin = `http://127.0.0.1:${port}`;
  return {
    origin,
    service: new BlobServiceClient(
      `${origin}/${account}`,
      new StorageSharedKeyCredential(account, accountKey),
    ),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

/** What the proxy does with a request before the store sees it, or with the store's answer to it. */
export type Verdict = "pass" | "cut" | "stall" | "loseAnswer" | { readonly status: number };

export interface RecordingProxy extends AsyncDisposable {
  readonly origin: string;
  /** `PUT /models/digits/1/model.onnx?comp=block` in order of arrival, ` new` when only if nothing is there. */
  readonly seen: string[];
}

/** Stands between publisher and store: records, and breaks what the test says. */
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
    if (verdict !== "pass" && verdict !== "loseAnswer") return;
    const forward = httpRequest(
      url,
      { method: incoming.method, headers: incoming.headers },
      (answer: IncomingMessage) => {
        if (verdict === "loseAnswer") {
          answer.resume().once("end", () => incoming.socket.destroy());
          return;
        }
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(outgoing);
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

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = portOf(server.address());
  server.close();
  await once(server, "close");
  return port;
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  return address.port;
}
