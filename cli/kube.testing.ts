import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type ApiAnswer = { readonly status: number; readonly body: unknown } | "never" | "cut";

export interface TestApi extends AsyncDisposable {
  readonly folder: string;
  readonly kubeconfig: string;
  readonly asked: readonly string[];
  /** What the next requests are answered. */
  answer: ApiAnswer;
}

/** As much of an API server as reading one object takes, and a kubeconfig for it. */
export async function startApi(answer: ApiAnswer = "never"): Promise<TestApi> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (api.answer === "cut") request.socket.destroy();
    if (typeof api.answer !== "object") return;
    response.writeHead(api.answer.status, { "content-type": "application/json" });
    response.end(JSON.stringify(api.answer.body));
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
    asked,
    answer,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await rm(folder, { recursive: true });
    },
  };
  return api;
}
