import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type ApiResponse = { readonly status: number; readonly body: unknown } | "never" | "cut";

export interface TestApi extends AsyncDisposable {
  readonly folder: string;
  readonly kubeconfig: string;
  readonly requests: readonly string[];
  /** The response to the next requests. */
  response: ApiResponse;
}

/** A stand-in for an API server that returns one object, and a kubeconfig for it. */
export async function startApi(initial: ApiResponse = "never"): Promise<TestApi> {
  const requests: string[] = [];
  const server = createServer((request, outgoing) => {
    requests.push(`${request.method} ${request.url}`);
    if (api.response === "cut") request.socket.destroy();
    if (typeof api.response !== "object") return;
    outgoing.writeHead(api.response.status, { "content-type": "application/json" });
    outgoing.end(JSON.stringify(api.response.body));
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
    response: initial,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await rm(folder, { recursive: true });
    },
  };
  return api;
}
