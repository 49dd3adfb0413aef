import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** A request as the API server received it. */
export interface ApiRequest {
  readonly line: string;
  readonly accept: string | undefined;
  readonly contentType: string | undefined;
  readonly body: unknown;
}

export type ApiResponse = { readonly status: number; readonly body: unknown } | "never" | "cut";

export interface TestApi extends AsyncDisposable {
  readonly folder: string;
  readonly kubeconfig: string;
  readonly requests: readonly string[];
  readonly received: readonly ApiRequest[];
  /** The response to the next requests, or what decides it. */
  response: ApiResponse | ((request: ApiRequest) => ApiResponse);
}

/** A stand-in for an API server that returns what the test says, and a kubeconfig for it. */
export async function startApi(initial: TestApi["response"] = "never"): Promise<TestApi> {
  const received: ApiRequest[] = [];
  const requests: string[] = [];
  async function respond(request: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const line = `${request.method} ${request.url}`;
    requests.push(line);
    const sent = await text(request);
    const { accept, "content-type": contentType } = request.headers;
    const one = { line, accept, contentType, body: sent === "" ? undefined : JSON.parse(sent) };
    received.push(one);
    const response = typeof api.response === "function" ? api.response(one) : api.response;
    if (response === "cut") request.socket.destroy();
    if (typeof response !== "object") return;
    outgoing.writeHead(response.status, { "content-type": "application/json" });
    outgoing.end(JSON.stringify(response.body));
  }
  const server = createServer((request, outgoing) => {
    respond(request, outgoing).catch(() => request.socket.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const folder = await mkdtemp(join(tmpdir(), "aiapp-kube-"));
  const kubeconfig = join(folder, "config");
  const cluster = { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true };
  await writeFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "c", cluster }],
      users: [{ name: "u", user: {} }],
      contexts: [
        { name: "one", context: { cluster: "c", user: "u", namespace: "shop" } },
        { name: "two", context: { cluster: "c", user: "u" } },
      ],
      "current-context": "one",
    }),
  );
  const api: TestApi = {
    folder,
    kubeconfig,
    requests,
    received,
    response: initial,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await rm(folder, { recursive: true });
    },
  };
  return api;
}
